// What TypeDoc is to do: paths are relative to this file.

import { existsSync, readdirSync } from 'node:fs'

/** The pages of a folder of docs/, if it is there. */
function pagesIn(folder) {
  const url = new URL(`../../docs/${folder}/`, import.meta.url)
  const names = existsSync(url) ? readdirSync(url).filter((name) => name.endsWith('.md')) : []
  return names.sort().map((name) => `../../docs/${folder}/${name}`)
}

export default {
  name: 'memmap',
  entryPoints: ['../../index.ts'],
  tsconfig: '../../tsconfig.json',
  readme: '../../README.md',
  plugin: ['./document-titles.mjs'],
  projectDocuments: [
    '../../docs/errors.md',
    ...pagesIn('guides'),
    ...pagesIn('benchmarks'),
    '../../docs/guarantees.md',
    '../../docs/design.md',
    '../../CHANGELOG.md',
    '../../CONTRIBUTING.md',
    '../../SECURITY.md',
  ],
  out: '../../docs/api',
  includeVersion: true,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  sort: ['source-order'],
  highlightLanguages: [
    'bash',
    'console',
    'csharp',
    'diff',
    'java',
    'javascript',
    'json',
    'python',
    'rust',
    'typescript',
  ],
  navigation: { includeGroups: true },
  sluggerConfiguration: { lowercase: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: true },
  requiredToBeDocumented: [
    'Module',
    'Variable',
    'Function',
    'Class',
    'Interface',
    'Constructor',
    'Property',
    'Method',
    'CallSignature',
    'ConstructorSignature',
    'IndexSignature',
    'GetSignature',
    'SetSignature',
    'TypeAlias',
  ],
  groupOrder: [
    'Documents',
    // Of the module …
    'Regions',
    'Locking files',
    'Taking turns',
    'What one gets',
    'About this process',
    'Options and arguments',
    'Answers',
    // … and of a class.
    'Constructors',
    'Opening',
    'Properties',
    'Accessors',
    'About it',
    'Methods',
    'Windows',
    'Copies and changes',
    'Searching',
    'Reading numbers',
    'Writing numbers',
    'Storage',
    'Locking',
    "The system's side",
    'Waiting',
    'Sharing',
    'Closing',
    '*',
    'Other names',
  ],
}
