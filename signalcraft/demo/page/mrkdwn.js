// Slack's mrkdwn → DOM nodes. Never through innerHTML: what a message says is text.

const EMOJI = {
  rotating_light: "🚨", fire: "🔥", red_circle: "🔴", large_red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡",
  large_blue_circle: "🔵", large_green_circle: "🟢", large_purple_circle: "🟣", white_circle: "⚪", black_circle: "⚫",
  red_square: "🟥", large_red_square: "🟥", large_orange_square: "🟧", large_yellow_square: "🟨", large_green_square: "🟩",
  large_blue_square: "🟦", white_check_mark: "✅", heavy_check_mark: "✔️", ballot_box_with_check: "☑️", warning: "⚠️",
  eyes: "👀", zzz: "💤", sleeping: "😴", bell: "🔔", no_bell: "🔕", mute: "🔇", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  alarm_clock: "⏰", stopwatch: "⏱️", arrow_up: "⬆️", arrow_down: "⬇️", arrow_upper_right: "↗️",
  chart_with_upwards_trend: "📈", bar_chart: "📊", repeat: "🔁", arrows_counterclockwise: "🔄", bust_in_silhouette: "👤",
  busts_in_silhouette: "👥", link: "🔗", book: "📖", books: "📚", information_source: "ℹ️", x: "❌", no_entry: "⛔",
  rocket: "🚀", tada: "🎉", sos: "🆘", exclamation: "❗", bangbang: "‼️", question: "❓", speech_balloon: "💬", pushpin: "📌",
  memo: "📝", mag: "🔍", wrench: "🔧", hammer_and_wrench: "🛠️", loudspeaker: "📢", mega: "📣", skull: "💀", wave: "👋",
  thumbsup: "👍", "+1": "👍", point_up: "☝️", clock3: "🕒", clock9: "🕘", calendar: "📅", package: "📦", phone: "☎️",
};

const LOOKUPS = { people: new Map(), channels: new Map() };

export function know(people, channels) {
  LOOKUPS.people = new Map(people.map((p) => [p.id, p.name]));
  LOOKUPS.channels = new Map(channels.map((c) => [c.id, c.name]));
}

export function make(tag, className, ...inside) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside);
  return node;
}

// Slack escapes exactly these three in text.
const plain = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const emoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);

export function plainText(text) {
  return document.createTextNode(emoji(plain(text)));
}

function safeLink(url, label) {
  const node = make("a", "", label);
  if (/^(https?|mailto):/i.test(url)) {
    node.href = url;
    node.target = "_blank";
    node.rel = "noopener noreferrer";
  }
  return node;
}

function two(n) { return String(n).padStart(2, "0"); }

function ago(at) {
  const s = Math.round((Date.now() - at) / 1000);
  if (s < 60) return "less than a minute ago";
  if (s < 3600) return `${Math.round(s / 60)} minutes ago`;
  if (s < 86400) return `${Math.round(s / 3600)} hours ago`;
  return `${Math.round(s / 86400)} days ago`;
}

function date(stamp, format) {
  const at = new Date(Number(stamp) * 1000);
  const day = new Date(at); day.setHours(0, 0, 0, 0);
  const today = new Date(); today.setHours(0, 0, 0, 0);
  const off = Math.round((day - today) / 86400000);
  const near = { 0: "today", "-1": "yesterday", 1: "tomorrow" }[off];
  const short = at.toLocaleDateString(undefined, { month: "short", day: "numeric", year: "numeric" });
  const long = at.toLocaleDateString(undefined, { weekday: "long", month: "long", day: "numeric", year: "numeric" });
  const middle = at.toLocaleDateString(undefined, { month: "long", day: "numeric", year: "numeric" });
  const words = {
    date_num: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    date: middle, date_short: short, date_long: long, date_pretty: near ?? middle,
    date_short_pretty: near ?? short, date_long_pretty: near ?? long,
    time: `${two(at.getHours())}:${two(at.getMinutes())}`,
    time_secs: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
    ago: ago(at),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => words[name] ?? whole);
}

function bracketed(inside) {
  const bar = inside.indexOf("|");
  const target = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? "" : inside.slice(bar + 1);
  if (target.startsWith("!date^")) {
    const [, stamp, format, link] = target.split("^");
    const text = Number.isFinite(Number(stamp)) ? date(stamp, format ?? "") : plain(label);
    return link ? safeLink(link, text) : make("time", "date", text);
  }
  if (/^!(here|channel|everyone)$/.test(target)) return make("span", "mention", `@${target.slice(1)}`);
  if (target.startsWith("!subteam^")) return make("span", "mention", plain(label) || `@${target.split("^")[1]}`);
  if (target.startsWith("@")) return make("span", "mention", `@${LOOKUPS.people.get(target.slice(1)) ?? (plain(label) || target.slice(1))}`);
  if (target.startsWith("#")) return make("span", "mention", `#${LOOKUPS.channels.get(target.slice(1)) ?? (plain(label) || target.slice(1))}`);
  return safeLink(plain(target), label ? emoji(plain(label)) : plain(target));
}

const INLINE = [
  [/<([^<>\n]+)>/, (m) => bracketed(m[1])],
  [/`([^`\n]+)`/, (m) => make("code", "", plain(m[1]))],
  [/(?<![\w*])\*(?=\S)([^*\n]*\S)\*(?![\w*])/, (m) => make("strong", "", inline(m[1]))],
  [/(?<![\w_])_(?=\S)([^_\n]*\S)_(?![\w_])/, (m) => make("em", "", inline(m[1]))],
  [/(?<![\w~])~(?=\S)([^~\n]*\S)~(?![\w~])/, (m) => make("s", "", inline(m[1]))],
];

function inline(text) {
  const out = document.createDocumentFragment();
  while (text) {
    let first = null;
    let build = null;
    for (const [pattern, maker] of INLINE) {
      const found = pattern.exec(text);
      if (found && (!first || found.index < first.index)) [first, build] = [found, maker];
    }
    if (!first) break;
    if (first.index) out.append(plainText(text.slice(0, first.index)));
    out.append(build(first));
    text = text.slice(first.index + first[0].length);
  }
  if (text) out.append(plainText(text));
  return out;
}

function lines(text) {
  const out = document.createDocumentFragment();
  let quote = null;
  for (const line of text.split("\n")) {
    const quoted = /^(?:&gt;|>) ?/.exec(line);
    if (quoted) {
      if (!quote) out.append(quote = make("blockquote", ""));
      else quote.append(make("br"));
      quote.append(inline(line.slice(quoted[0].length)));
      continue;
    }
    if (out.lastChild && !quote) out.append(make("br"));
    quote = null;
    out.append(inline(line));
  }
  return out;
}

export function mrkdwn(text) {
  const out = document.createDocumentFragment();
  text.split("```").forEach((part, n, all) => {
    if (n % 2 && n < all.length - 1) out.append(make("pre", "", plain(part.replace(/^\n/, ""))));
    else if (part) out.append(lines(n % 2 ? "```" + part : part));
  });
  return out;
}

export function textObject(object) {
  if (!object) return document.createTextNode("");
  return object.type === "mrkdwn" ? mrkdwn(object.text) : plainText(object.text);
}
