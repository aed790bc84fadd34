// The addon for one target, into native/: `npm run build:target -- TARGET [--use-napi-cross | --cross-compile]`.

import { buildAddon, install, rustFlags } from './steps.mjs'

const [target, ...how] = process.argv.slice(2).filter((word) => word !== '')
install()
buildAddon(['--target', target, ...how], { env: { ...process.env, ...rustFlags() } })
