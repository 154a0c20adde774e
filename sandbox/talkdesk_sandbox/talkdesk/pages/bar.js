/*
 * A stand-in for the Talkdesk bar: 48 pixels at the top of the page that say where one is, and as whom.
 *
 * <script src=".../bar.js" data-account="acme" data-user="Ada" defer></script>
 *
 * The page may do as it likes with its own document. The bar hangs on the root element, beside the body; it
 * carries its own styles, put there by script, so that a strict Content-Security-Policy lets them be; it is
 * in the top layer, where no z-index of the page's reaches; and it comes back when it is taken away.
 */
(() => {
  "use strict";
  const HEIGHT = 48;
  const NAME = "talkdesk-bar";
  const KNOWN = Symbol.for("talkdesk.bar");
  const script = document.currentScript
    ?? document.querySelector('script[src$="/bar.js"][data-account], script[src$="/bar.js"][data-user]');
  const said = { account: script?.dataset.account ?? "", user: script?.dataset.user ?? "" };

  if (window.top !== window) return; // the page around this frame has a bar already
  if (window[KNOWN]) { // loaded twice: what it says may have changed
    window[KNOWN](said);
    return;
  }

  const bar = document.createElement(NAME);
  bar.setAttribute("role", "region");
  bar.setAttribute("aria-label", "Talkdesk");
  bar.setAttribute("lang", "en");
  bar.setAttribute("dir", "ltr");

  const shadow = bar.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    .bar { display: flex; align-items: center; gap: 12px; height: 100%; padding: 0 16px; box-sizing: border-box;
      background: #2a1a5e; color: #fff; font: 14px/1 system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
    .mark { font-weight: 700; letter-spacing: .01em; }
    .account { padding-left: 12px; border-left: 1px solid #7d6cc0; color: #e3dcff; }
    .user { margin-left: auto; }
    .account, .user { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; line-height: 1.4; }
    .account:empty, .user:empty { display: none; }
    @media (forced-colors: active) { .bar { border-bottom: 1px solid CanvasText; } }
  `);
  shadow.adoptedStyleSheets = [sheet];
  const line = document.createElement("div");
  line.className = "bar";
  const part = (name, text) => {
    const one = document.createElement("span");
    one.className = name;
    one.textContent = text;
    line.append(one);
    return one;
  };
  part("mark", "Talkdesk");
  const account = part("account", "");
  const user = part("user", "");
  shadow.append(line);

  const tell = (words) => {
    account.textContent = account.title = words.account;
    user.textContent = user.title = words.user;
  };
  tell(said);
  window[KNOWN] = tell;

  const OURS = [
    ["all", "initial"], ["display", "block"], ["position", "fixed"], ["inset", "0 0 auto 0"], ["width", "100%"],
    ["max-width", "none"], ["height", `${HEIGHT}px`], ["margin", "0"], ["padding", "0"], ["border", "0"],
    ["overflow", "hidden"], ["visibility", "visible"], ["opacity", "1"], ["pointer-events", "auto"],
    ["z-index", "2147483647"],
  ];
  const ROOT = [["box-sizing", "border-box"], ["padding-top", `${HEIGHT}px`], ["scroll-padding-top", `${HEIGHT}px`]];
  const styled = (element, rules) => {
    for (const [name, value] of rules) element.style.setProperty(name, value, "important");
  };
  let worn = "";
  const dress = () => {
    if (bar.getAttribute("style") === worn && !bar.hasAttribute("hidden")) return;
    bar.removeAttribute("hidden");
    bar.removeAttribute("style");
    styled(bar, OURS);
    worn = bar.getAttribute("style");
  };

  let watched = null;
  const stand = () => {
    const root = document.documentElement;
    if (!root) return;
    if (bar.parentNode !== root) root.append(bar);
    dress();
    if (root.style.paddingTop !== `${HEIGHT}px`) styled(root, ROOT);
    if (typeof bar.showPopover === "function") { // the top layer
      bar.popover = "manual";
      if (!bar.matches(":popover-open")) bar.showPopover();
    }
    if (watched !== root) { // also after document.write has made another document of it
      watched = root;
      observer.observe(document, { childList: true });
      observer.observe(root, { childList: true, attributes: true, attributeFilter: ["style"] });
      observer.observe(bar, { attributes: true, attributeFilter: ["style", "hidden", "class", "popover"] });
    }
  };

  // Once a frame at the most, so that a page that takes it away each time is not driven into a loop.
  let planned = false;
  const observer = new MutationObserver(() => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      stand();
    });
  });
  stand();
})();
