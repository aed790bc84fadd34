// Runs the examples beside it as CommonJS, one after another, and ends with a line of counts.

const { readdirSync } = require('node:fs')

const print = console.log
console.log = () => {}

async function main() {
  let passed = 0
  let failed = 0
  for (const name of readdirSync('cjs')) {
    try {
      await require(`./cjs/${name}`)
      passed += 1
    } catch (error) {
      failed += 1
      console.error(`not ok: cjs/${name}\n`, error)
    }
  }
  print(`passed ${passed} / failed ${failed}`)
}

void main()
