// Loaded by `--import`: from here on the package takes the addon that MEMMAP_ADDON names. Not by NAPI_RS_NATIVE_LIBRARY_PATH
// from the start, which the loader of TypeScript would take for its own.

delete process.env.NAPI_RS_NATIVE_LIBRARY_PATH
await import('@oxc-node/core/register')
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = process.env.MEMMAP_ADDON
