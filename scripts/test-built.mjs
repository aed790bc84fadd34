// The test suite with an addon that was built elsewhere and lies in native/. With arguments: only those test files.

import { buildTypeScript, install, npx } from './steps.mjs'

install()
buildTypeScript()
npx('ava', process.argv.slice(2))
