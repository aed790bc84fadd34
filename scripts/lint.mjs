// Formatters and linters of both languages.

import { build, npx, run } from './steps.mjs'

build()
npx('prettier', ['--check', '--log-level', 'warn', '.'])
npx('oxlint', ['--quiet', '--deny-warnings'])
npx('typescript', ['--project', 'tsconfig.check.json'])
run('cargo', ['fmt', '--all', '--check'])
run('cargo', ['clippy', '--quiet', '--workspace', '--all-targets', '--all-features', '--', '-D', 'warnings'])
