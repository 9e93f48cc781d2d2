import { describe, expect, it } from 'vitest';
import { pretty, textOf } from './bytes';

describe('bytes as they came', () => {
  it('are text where they are UTF-8, the byte order mark included', () => {
    expect(textOf(new TextEncoder().encode('ünï \u202e').buffer)).toBe('ünï \u202e');
    expect(textOf(new Uint8Array([0xef, 0xbb, 0xbf, 0x41]).buffer)).toBe('\ufeffA');
    expect(textOf(new Uint8Array([0xff, 0xfe, 0x00]).buffer)).toBeNull();
  });

  it('are drawn readably where they are JSON', () => {
    expect(pretty('{"a":[1,2]}')).toBe('{\n  "a": [\n    1,\n    2\n  ]\n}');
    expect(pretty('payload=%7B')).toBeNull();
    expect(pretty('"text"')).toBeNull();
  });

  it('are left as they are where drawing would change a number', () => {
    expect(pretty('{"id": 12345678901234567890}')).toBeNull();
    expect(pretty('{"id": "12345678901234567890"}')).not.toBeNull();
  });
});
