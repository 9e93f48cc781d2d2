import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';

const packable = /\.(?:html|js|css|svg|webmanifest|txt)$/;
// As small as it gets: packed once here, sent for years. A copy that saves nothing is not kept.
const packers = {
  '.zst': (raw) =>
    promisify(zstdCompress)(raw, {
      params: { [constants.ZSTD_c_compressionLevel]: 19 },
      pledgedSrcSize: raw.length,
    }),
  '.br': (raw) => promisify(brotliCompress)(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } }),
  '.gz': (raw) => promisify(gzip)(raw, { level: 9 }),
};
const KEPT_MS = 30 * 60_000;

/**
 * Lays packed copies beside every file of the build, and puts it where signalcraft/http/dashboard.py serves it.
 *
 * Whoever has the page open goes on: a file is whole or not there, the page itself is the last to change, and what only
 * the build before had stays for a while.
 * @param {string} served
 * @returns {import('vite').Plugin}
 */
export function packedInto(served) {
  let built = '';
  return {
    name: 'packed-into',
    apply: 'build',
    configResolved(config) {
      built = resolve(config.root, config.build.outDir);
      served = resolve(config.root, served);
    },
    async closeBundle() {
      const names = await filesIn(built);
      // One after the other: a packer takes up to 100 MB, which for all files at once is more than a machine has.
      for (const name of names.filter((name) => packable.test(name))) await pack(join(built, name));
      await publish(built, served);
    },
  };
}

async function filesIn(folder) {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name).slice(folder.length + 1));
}

async function pack(path) {
  const raw = await readFile(path);
  for (const [end, packer] of Object.entries(packers)) {
    const small = await packer(raw);
    if (small.length < raw.length * 0.9) await writeFile(path + end, small);
  }
}

async function publish(built, served) {
  const isPage = (name) => name.startsWith('index.html');
  const last = (name) => Number(isPage(name)) + Number(name === 'index.html');
  const names = (await filesIn(built)).sort((a, b) => last(a) - last(b));
  for (const name of names) {
    const path = join(served, name);
    await mkdir(dirname(path), { recursive: true });
    await cp(join(built, name), `${path}.new`);
    await rename(`${path}.new`, path);
  }
  const now = Date.now();
  for (const name of await filesIn(served)) {
    const path = join(served, name);
    const old = !names.includes(name) && now - (await stat(path)).mtimeMs > KEPT_MS;
    if (old || (isPage(name) && !names.includes(name))) await rm(path);
  }
}
