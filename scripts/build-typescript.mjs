// dist/ alone, for an addon that was built elsewhere and lies in native/.

import { buildTypeScript, install } from './steps.mjs'

install()
buildTypeScript()
