// Runs the examples beside it as ES modules, one after another, and ends with a line of counts.

import { readdirSync } from 'node:fs'

const print = console.log
console.log = () => {}
let passed = 0
let failed = 0
for (const name of readdirSync('esm')) {
  try {
    await import(`./esm/${name}`)
    passed += 1
  } catch (error) {
    failed += 1
    console.error(`not ok: esm/${name}\n`, error)
  }
}
print(`passed ${passed} / failed ${failed}`)
