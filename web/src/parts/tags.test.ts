import { describe, expect, it } from 'vitest';
import { asText } from './tags';

describe('HTML inside Markdown', () => {
  it('keeps tags that only shape text', () => {
    const text = '<details>\n<summary>More</summary>\n<b>now</b><br/><H2 >x</H2 ></details>';
    expect(asText(text)).toBe(text);
  });

  it('shows every other tag by its letters', () => {
    expect(asText('ssh <host> <script>hurt()</script>')).toBe('ssh &lt;host> &lt;script>hurt()&lt;/script>');
    expect(asText('<img src=x onerror="hurt()">')).toBe('&lt;img src=x onerror="hurt()">');
  });

  it('lets no attribute through', () => {
    expect(asText('<b onclick="hurt()">x</b>')).toBe('&lt;b onclick="hurt()">x</b>');
    expect(asText('<br\nonclick=hurt()>')).toBe('&lt;br\nonclick=hurt()>');
    expect(asText('<b/onclick=hurt()>')).toBe('&lt;b/onclick=hurt()>');
    expect(asText('<details ontoggle=hurt() open>')).toBe('&lt;details ontoggle=hurt() open>');
  });

  it('takes comments out, and puts no tag together by that', () => {
    expect(asText('a<!-- <b> -->b')).toBe('ab');
    expect(asText('<scr<!-- -->ipt>')).toBe('&lt;script>');
    expect(asText('<!-- never ended <img src=x onerror=hurt()>')).toBe(
      '&lt;!-- never ended &lt;img src=x onerror=hurt()>',
    );
  });
});
