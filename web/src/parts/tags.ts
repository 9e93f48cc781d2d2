/** HTML inside Markdown. */

const PLAIN =
  'b|blockquote|br|code|del|details|em|h[1-6]|hr|i|ins|kbd|li|mark|ol|p|pre|s|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul';
const OTHER = new RegExp(`<(?!/?(?:${PLAIN})\\s*/?>)`, 'gi');

/**
 * Raw HTML as it may be shown: a tag that only shapes text and has no attributes is left one; of any other, a place holder
 * like `<host>` too, the reader sees the letters. So no attribute that somebody wrote ever reaches the browser's parser:
 * Chromium tells of an inline handler as a violation of the page's policy as soon as it reads one, in whatever is to be
 * cleaned too.
 */
export function asText(html: string): string {
  return html.replace(/<!--[^]*?-->/g, '').replace(OTHER, '&lt;');
}
