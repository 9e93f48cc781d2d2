/** What a browser calls itself, in words that a person knows it by. Order counts: Edge says Chrome, Chrome says Safari. */
const BROWSERS: [RegExp, string][] = [
  [/\bEdgA?\/([\d]+)/, 'Edge'],
  [/\bOPR\/([\d]+)/, 'Opera'],
  [/\bFirefox\/([\d]+)/, 'Firefox'],
  [/\bFxiOS\/([\d]+)/, 'Firefox'],
  [/\b(?:Headless)?Chrome\/([\d]+)/, 'Chrome'],
  [/\bCriOS\/([\d]+)/, 'Chrome'],
  [/\bVersion\/([\d]+)\S* (?:Mobile\/\S+ )?Safari\//, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows NT/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** "Firefox 140 on Linux"; the agent's own first word where it is no browser we know; "" for none. */
export function browserOf(agent: string): string {
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  for (const [pattern, name] of BROWSERS) {
    const found = pattern.exec(agent);
    if (found) return `${name} ${found[1]}${system ? ` on ${system}` : ''}`;
  }
  return agent.split(/[\s/]/, 1)[0]?.slice(0, 40) ?? '';
}
