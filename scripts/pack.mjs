// The package and its binaries as they would be published, in target/pack: nothing in the repository is changed.

import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

import { fail, npx, ROOT } from './steps.mjs'

export const PACK = join(ROOT, 'target', 'pack')
const STAGE = join(PACK, 'stage')

/** Platforms by the folders of npm/, with the target that a published binary is built for. */
export const PLATFORMS = {
  'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
  'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
  'linux-x64-musl': 'x86_64-unknown-linux-musl',
  'linux-arm64-musl': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
  'win32-x64-msvc': 'x86_64-pc-windows-msvc',
  'win32-arm64-msvc': 'aarch64-pc-windows-msvc',
}

// What zig links has its unwinder in it, where what is published for glibc takes the system's: libgcc_s.
const MOST = { root: 200_000, binary: 1_500_000, unwinder: 30_000 }
const IN_ROOT = [
  /^package\.json$/,
  /^(README|CHANGELOG)\.md$/,
  /^LICENSE$/,
  /^native\/binding\.js$/,
  /^dist\/.+\.(js|d\.ts)$/,
]

/** npm pack of a folder: the tarball's path, and what is in it. */
function npmPack(folder) {
  const options = { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' }
  // A list of one, or since npm 12 an object of one.
  const [packed] = Object.values(
    JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', PACK], options)),
  )
  return { path: join(PACK, packed.filename), size: packed.size, files: packed.files }
}

function checkRoot({ size, files }) {
  for (const { path } of files) if (!IN_ROOT.some((wanted) => wanted.test(path))) fail(`${path} must not be published`)
  for (const wanted of ['dist/index.js', 'dist/index.d.ts', 'dist/lib/addon.js', 'dist/lib/cli/memmap.js']) {
    if (!files.some(({ path }) => path === wanted)) fail(`${wanted} is missing in the package`)
  }
  if (size >= MOST.root) fail(`the package has ${size} bytes, and must have less than ${MOST.root}`)
}

function checkBinary(platform, { files }, binary) {
  const addon = `memmap.${platform}.node`
  const names = files.map(({ path }) => path).sort()
  if (String(names) !== String(['LICENSE', 'README.md', addon, 'package.json'].sort())) {
    fail(`@memmap/binding-${platform} has the files ${names.join(', ')}`)
  }
  const { size } = files.find(({ path }) => path === addon)
  const most = MOST.binary + (platform.endsWith('-gnu') && !binary.includes('libgcc_s.so.1') ? MOST.unwinder : 0)
  if (size >= most) fail(`${addon} has ${size} bytes, and must have less than ${most}`)
  return size
}

/** Glibc as old as CentOS 7's must do. */
function checkGlibc(addon) {
  const symbols = execFileSync('objdump', ['-T', addon], { encoding: 'utf8' })
  const minors = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor))
  if (Math.max(...minors) > 17) fail(`${addon} needs glibc 2.${Math.max(...minors)}; at most 2.17 is allowed`)
}

/** Writes into a staged manifest which repository the package is made from. */
function nameRepository(repository, folder) {
  const path = join(folder, 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  manifest.repository = { type: 'git', url: `git+${repository}.git` }
  writeFileSync(path, JSON.stringify(manifest, null, 2))
}

/**
 * Packs the root and some platforms, of which `addons` names the binaries, and checks what is in the tarballs.
 * Returns their paths. Where the binaries are not those to publish, `anyGlibc` is content with one that needs a newer glibc.
 * `repository` is the URL of the one that is released: npm takes no provenance of a package that names another, or none,
 * and links of the README lead there.
 */
export function pack(addons, { anyGlibc = false, repository } = {}) {
  rmSync(PACK, { recursive: true, force: true })
  mkdirSync(join(STAGE, 'artifacts'), { recursive: true })
  for (const part of ['dist', 'native/binding.js', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    cpSync(join(ROOT, part), join(STAGE, part), { recursive: true })
  }
  // napi refuses to go on where a target has no binary, so it is told of those there are.
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  manifest.napi.targets = Object.keys(addons).map((platform) => PLATFORMS[platform])
  writeFileSync(join(STAGE, 'package.json'), JSON.stringify(manifest, null, 2))
  for (const [platform, addon] of Object.entries(addons)) {
    cpSync(join(ROOT, 'npm', platform), join(STAGE, 'npm', platform), { recursive: true })
    copyFileSync(join(ROOT, 'LICENSE'), join(STAGE, 'npm', platform, 'LICENSE'))
    copyFileSync(addon, join(STAGE, 'artifacts', `memmap.${platform}.node`))
    if (platform.endsWith('-gnu') && !anyGlibc) checkGlibc(addon)
  }
  npx('@napi-rs/cli', ['artifacts', '--cwd', STAGE, '--output-dir', 'artifacts', '--npm-dir', 'npm'], { stdio: 'pipe' })
  // It publishes nothing, here or elsewhere: that is the release's business.
  const nothing = ['--skip-optional-publish', '--no-gh-release']
  npx('@napi-rs/cli', ['pre-publish', '--cwd', STAGE, '--npm-dir', 'npm', ...nothing], { stdio: 'pipe' })
  if (repository !== undefined) {
    for (const folder of [STAGE, ...Object.keys(addons).map((platform) => join(STAGE, 'npm', platform))])
      nameRepository(repository, folder)
  }
  const root = npmPack(STAGE)
  checkRoot(root)
  console.log(`memmap: ${root.files.length} files, ${root.size} bytes packed`)
  const tarballs = { root: root.path }
  for (const [platform, addon] of Object.entries(addons)) {
    const packed = npmPack(join(STAGE, 'npm', platform))
    console.log(
      `@memmap/binding-${platform}: ${checkBinary(platform, packed, readFileSync(addon))} bytes, ${packed.size} packed`,
    )
    tarballs[platform] = packed.path
  }
  const { optionalDependencies } = JSON.parse(readFileSync(join(STAGE, 'package.json'), 'utf8'))
  const listed = Object.keys(optionalDependencies ?? {}).sort()
  const wanted = Object.keys(addons).map((platform) => `@memmap/binding-${platform}`)
  if (String(listed) !== String(wanted.sort())) fail(`the package depends on ${listed.join(', ') || 'no binary'}`)
  return tarballs
}
