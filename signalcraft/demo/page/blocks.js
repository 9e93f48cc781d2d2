// Block Kit → DOM nodes. `press(element, block, option)` is called for what a person chooses.

import { make, mrkdwn, plainText, textObject } from "./mrkdwn.js";

export function renderBlocks(blocks, press) {
  const out = document.createDocumentFragment();
  for (const block of blocks) {
    const render = BLOCKS[block.type];
    out.append(render ? render(block, press) : make("p", "unknown", `(a ${block.type} block)`));
  }
  return out;
}

const BLOCKS = {
  header: (b) => make("h3", "b-header", textObject(b.text)),
  divider: () => make("hr", "b-divider"),
  markdown: (b) => make("div", "b-text", mrkdwn(b.text)),
  image: (b) => make("p", "b-image", `🖼 ${b.alt_text ?? ""}`),
  rich_text: (b) => make("div", "b-text", richText(b.elements)),
  context(b) {
    const parts = b.elements.map((e) => e.type === "image" ? make("span", "b-icon", e.alt_text ?? "") : make("span", "", textObject(e)));
    return make("div", "b-context", ...parts);
  },
  section(b, press) {
    const body = make("div", "b-body");
    if (b.text) body.append(make("div", "b-text", textObject(b.text)));
    if (b.fields) body.append(make("div", "b-fields", ...b.fields.map((f) => make("div", "", textObject(f)))));
    const section = make("div", "b-section", body);
    if (b.accessory) section.append(make("div", "b-accessory", element(b.accessory, b, press)));
    return section;
  },
  actions: (b, press) => make("div", "b-actions", ...b.elements.map((e) => element(e, b, press))),
};

function richText(elements) {
  const out = document.createDocumentFragment();
  for (const e of elements ?? []) {
    if (e.elements) out.append(make("div", "", richText(e.elements)));
    else out.append(plainText(e.text ?? e.url ?? e.name ?? ""));
  }
  return out;
}

function element(e, block, press) {
  const render = ELEMENTS[e.type];
  return render ? render(e, block, press) : make("span", "unknown", `(${e.type})`);
}

const ELEMENTS = {
  image: (e) => make("span", "b-icon", e.alt_text ?? ""),
  button(e, block, press) {
    const node = make("button", `button ${e.style ?? ""}`, textObject(e.text));
    node.type = "button";
    node.addEventListener("click", async () => {
      if (e.url) window.open(e.url, "_blank", "noopener,noreferrer");
      if (await confirmed(e.confirm)) await busy(node, () => press(e, block, null));
    });
    return node;
  },
  overflow(e, block, press) {
    const opener = make("button", "button more", "⋯");
    opener.type = "button";
    opener.setAttribute("aria-label", "More actions");
    opener.setAttribute("aria-haspopup", "menu");
    const menu = make("div", "menu");
    menu.popover = "auto";
    for (const option of e.options) {
      const item = make("button", "item", textObject(option.text));
      item.type = "button";
      item.addEventListener("click", async () => {
        menu.hidePopover();
        if (await confirmed(e.confirm)) await busy(opener, () => press(e, block, option.value));
      });
      menu.append(item);
    }
    opener.addEventListener("click", () => {
      menu.togglePopover();
      const at = opener.getBoundingClientRect();
      const below = at.bottom + 4 + menu.offsetHeight < window.innerHeight;
      menu.style.left = `${Math.min(at.left, window.innerWidth - menu.offsetWidth - 8)}px`;
      menu.style.top = `${below ? at.bottom + 4 : at.top - 4 - menu.offsetHeight}px`;
    });
    return make("span", "holder", opener, menu);
  },
  static_select(e, block, press) {
    const node = make("select", "choose");
    node.append(new Option(e.placeholder?.text ?? "Choose an option", "", true, true));
    node.options[0].disabled = true;
    const groups = e.option_groups ?? [{ options: e.options }];
    for (const group of groups) {
      const parent = group.label ? Object.assign(document.createElement("optgroup"), { label: group.label.text }) : node;
      for (const option of group.options) parent.append(new Option(plainText(option.text.text).data, option.value));
      if (parent !== node) node.append(parent);
    }
    const initial = e.initial_option?.value ?? "";
    node.value = initial;
    node.addEventListener("change", async () => {
      const chosen = node.value;
      node.blur();
      if (await confirmed(e.confirm)) await busy(node, () => press(e, block, chosen));
      node.value = initial;
    });
    return node;
  },
};

async function busy(node, work) {
  node.disabled = true;
  node.classList.add("busy");
  try {
    await work();
  } finally {
    node.disabled = false;
    node.classList.remove("busy");
  }
}

function confirmed(ask) {
  if (!ask) return Promise.resolve(true);
  return new Promise((resolve) => {
    const yes = make("button", `button ${ask.style ?? "primary"}`, ask.confirm?.text ?? "Yes");
    const no = make("button", "button", ask.deny?.text ?? "No");
    const dialog = make("dialog", "ask", make("h3", "", textObject(ask.title)), make("p", "", textObject(ask.text)), make("div", "b-actions", no, yes));
    yes.addEventListener("click", () => dialog.close("yes"));
    no.addEventListener("click", () => dialog.close(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
    yes.focus();
  });
}
