import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';

const packable = /\.(?:html|js|css|svg|webmanifest|txt)$/;
// As small as it gets: packed once here, sent for years. A copy that saves nothing is not kept.
const packers = {
    '.zst': (raw) => promisify(zstdCompress)(raw, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }),
    '.br': (raw) => promisify(brotliCompress)(raw, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } }),
    '.gz': (raw) => promisify(gzip)(raw, { level: 9 }),
};

/**
 * Lays packed copies beside every file of the build, as signalcraft/http/dashboard.py serves them.
 * @returns {import('vite').Plugin}
 */
export function pack() {
    let folder = '';
    return {
        name: 'pack',
        apply: 'build',
        configResolved(config) {
            folder = resolve(config.root, config.build.outDir);
        },
        async closeBundle() {
            const names = (await readdir(folder, { recursive: true })).filter((name) => packable.test(name));
            await Promise.all(names.map((name) => packed(join(folder, name))));
        },
    };
}

async function packed(path) {
    if (!(await stat(path)).isFile()) return;
    const raw = await readFile(path);
    for (const [end, packer] of Object.entries(packers)) {
        const small = await packer(raw);
        if (small.length < raw.length * 0.9) await writeFile(path + end, small);
    }
}
