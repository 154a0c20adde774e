// Loads the Talkdesk bar into a page, keeps it there, and helps background requests over a session's end.
// Runs once a document, before the app's deferred scripts. Must not throw: the app comes first.
(() => {
  "use strict";
  const settings = /*SETTINGS*/ null;
  if (!settings || window.__talkdeskBar) return;
  Object.defineProperty(window, "__talkdeskBar", { value: true });

  const HOST = "talkdesk-bar";
  const WINDOW = "talkdesk-sign-in"; // name of the window in which one signs in again
  const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(WINDOW) : null;

  if (window.name === WINDOW) {
    // We are that window, and somebody is signed in: the page that waits goes on, and this one is not needed.
    window.name = "";
    if (channel) channel.postMessage("signed-in");
    window.close();
  }

  // The place at the top --------------------------------------------------------------------------------

  // Sheets and nodes made by script: no policy of the page forbids them, no reset of style attributes or of
  // document.body takes them away.
  function styled(target, css) {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      return () => {
        if (!target.adoptedStyleSheets.includes(sheet)) {
          target.adoptedStyleSheets = [...target.adoptedStyleSheets, sheet];
        }
      };
    } catch {
      const element = document.createElement("style"); // browsers without constructed sheets
      element.textContent = css;
      return () => {
        const parent = target === document ? document.documentElement : target;
        if (parent && element.parentNode !== parent) parent.append(element);
      };
    }
  }

  const kept = []; // what has to stay in the document, directly under its root or its body
  const restyles = [];

  let returns = 0;

  function keep() {
    const root = document.documentElement;
    if (!root) return;
    for (const node of kept) {
      if (node.isConnected || returns > 200) continue; // a page that takes it away every time wins
      if (returns++ === 0) {
        setTimeout(() => {
          returns = 0;
        }, 10000);
      }
      root.append(node);
    }
    for (const restyle of restyles) restyle();
  }

  function watch() {
    let root = null;
    let body = null;
    const observer = new MutationObserver(check);
    // Only direct children are watched: the document's, its root's and its body's, whichever these are by now.
    function check() {
      if (document.documentElement !== root) {
        root = document.documentElement;
        if (root) observer.observe(root, { childList: true });
      }
      if (document.body !== body) {
        body = document.body;
        if (body) observer.observe(body, { childList: true });
      }
      keep();
    }
    observer.observe(document, { childList: true });
    check();
  }

  function place(height) {
    const host = document.createElement("div");
    host.id = HOST;
    kept.push(host);
    restyles.push(
      styled(
        document,
        `@media not print {
          html { box-sizing: border-box !important; padding-top: ${height}px !important;
                 scroll-padding-top: ${height}px; --talkdesk-bar-height: ${height}px; }
        }
        @media print { #${HOST} { display: none !important; } }
        #${HOST} { all: initial; position: fixed !important; inset: 0 0 auto 0 !important;
          height: ${height}px !important; z-index: 2147483647 !important; pointer-events: none !important;
          display: block !important; }
        #${HOST} > * { pointer-events: auto; }`,
      ),
    );
    return host;
  }

  function trusted(url) {
    if (!window.trustedTypes) return url;
    try {
      const policy = window.trustedTypes.createPolicy("talkdesk-bar", {
        createScriptURL: (text) => (text === url ? text : ""),
      });
      return policy.createScriptURL(url);
    } catch {
      return url; // the page's policy has no place for ours, or a default policy decides
    }
  }

  function load(bar) {
    const host = place(bar.height);
    keep();
    const script = document.createElement("script");
    for (const [name, value] of Object.entries(bar.attributes)) script.setAttribute(name, value);
    script.async = true;

    // What the bar's script puts under the body or the root while it runs is the bar, and is kept as well: a
    // script's run, the records of what it changed, and its load event belong to one task.
    let fresh = [];
    const observer = new MutationObserver((records) => {
      fresh = records.flatMap((record) => [...record.addedNodes]);
      setTimeout(() => {
        fresh = [];
      });
    });
    const listen = () => {
      for (const parent of [document.documentElement, document.body]) {
        if (parent) observer.observe(parent, { childList: true });
      }
    };
    script.addEventListener("load", () => {
      for (const node of fresh) {
        if (node instanceof Element && node !== host && node.localName !== "body" && node.localName !== "head") {
          kept.push(node);
        }
      }
      observer.disconnect();
    });
    script.addEventListener("error", () => observer.disconnect());
    listen();
    script.src = trusted(bar.script);
    host.append(script); // a script that draws beside itself draws in the place that is kept
    watch();
  }

  // A session that ended --------------------------------------------------------------------------------

  let signingIn = null; // one for all requests that wait

  function signIn(start) {
    signingIn ??= ask(start).finally(() => {
      signingIn = null;
    });
    return signingIn;
  }

  // True when the same user is signed in again; false when the request's failure is to be the app's.
  // Only a window of its own can go through Talkdesk without losing this page: Talkdesk's cookies are not
  // sent to frames, and browsers open windows for clicks alone.
  function ask(start) {
    return new Promise((resolve) => {
      const notice = banner();
      let timer = 0;
      let settled = false; // several looks may be under way
      const done = (result) => {
        if (settled) return;
        settled = true;
        clearInterval(timer);
        channel?.removeEventListener("message", look);
        removeEventListener("focus", look);
        notice.remove();
        resolve(result);
      };
      const look = async () => {
        const user = await whoIsIn();
        if (settled || user === undefined) return;
        if (settings.user && user.id !== settings.user) {
          notice.say(`You are now signed in as ${user.name || user.email || "another user"}.`, "Reload", () =>
            location.reload(),
          );
          return;
        }
        done(true);
      };
      notice.say("You have been signed out.", "Sign in again", () => {
        open(`${start}?to=${encodeURIComponent(location.pathname + location.search)}`, WINDOW);
        clearInterval(timer);
        timer = setInterval(look, 2000);
      });
      notice.onDismiss(() => done(false));
      channel?.addEventListener("message", look);
      addEventListener("focus", look); // signed in elsewhere, in any tab
    });
  }

  const plainFetch = window.fetch;

  async function whoIsIn() {
    try {
      const answer = await plainFetch("/_td/session", { headers: { accept: "application/json" } });
      return answer.ok ? (await answer.json()).user : undefined;
    } catch {
      return undefined;
    }
  }

  function banner() {
    const host = document.createElement("div");
    const shadow = host.attachShadow({ mode: "open" });
    styled(
      shadow,
      `:host { all: initial; position: fixed; z-index: 2147483647; inset: auto 0 1rem 0; display: flex;
         justify-content: center; pointer-events: none; }
       div { pointer-events: auto; display: flex; gap: 1rem; align-items: center; padding: .75rem 1rem;
         background: #1c2333; color: #fff; border-radius: 8px; font: 15px/1.4 system-ui, sans-serif;
         box-shadow: 0 4px 24px rgb(0 0 0 / 30%); }
       button { font: inherit; border: 0; border-radius: 6px; padding: .4rem .8rem; cursor: pointer; }
       button.close { background: none; color: inherit; }`,
    )();
    const box = document.createElement("div");
    box.setAttribute("role", "alert");
    const text = document.createElement("span");
    const button = document.createElement("button");
    const close = document.createElement("button");
    close.className = "close";
    close.textContent = "\u2715";
    close.setAttribute("aria-label", "Dismiss");
    box.append(text, button, close);
    shadow.append(box);
    kept.push(host);
    keep();
    return {
      say(words, label, action) {
        text.textContent = words;
        button.textContent = label;
        button.onclick = action;
      },
      onDismiss(action) {
        close.onclick = action;
      },
      remove() {
        const index = kept.indexOf(host);
        if (index >= 0) kept.splice(index, 1);
        host.remove();
      },
    };
  }

  // Only our gateway's answer, to this page's own host, counts; an app's 401 is the app's.
  function startOf(status, url, header) {
    if (status !== 401 || !header || !header.startsWith("/_td/")) return null;
    return new URL(url, location.href).origin === location.origin ? header : null;
  }

  // What is waited for, or the abort of the request that waits: then the app gets its own reason.
  function unlessAborted(waiting, signal) {
    if (!signal) return waiting;
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason ?? new DOMException("Aborted", "AbortError"));
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
      waiting.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  // fetch: a refused request never reached the app, so it may be sent once more, whatever its method.
  function wrapFetch() {
    if (typeof plainFetch !== "function") return;
    window.fetch = async function fetch(input, init) {
      // A body that is read once is kept twice, in case. Not every browser says whether there is one.
      const mayHaveBody = input instanceof Request && !["GET", "HEAD"].includes(input.method);
      const spare = mayHaveBody && !input.bodyUsed ? input.clone() : input;
      const oneWay = init?.body instanceof ReadableStream;
      const answer = await plainFetch.call(this, input, init);
      const start = startOf(answer.status, answer.url, answer.headers.get("x-td-sign-in"));
      const signal = init?.signal === undefined ? input?.signal : init.signal;
      if (!start || oneWay || !(await unlessAborted(signIn(start), signal))) return answer;
      return plainFetch.call(this, spare, init);
    };
  }

  // XMLHttpRequest: its events are kept from the app until the second answer is there.
  function wrapXhr() {
    const Native = window.XMLHttpRequest;
    if (typeof Native !== "function") return;
    const { open: nativeOpen, send: nativeSend, setRequestHeader: nativeSet, abort: nativeAbort } = Native.prototype;
    const EVENTS = ["readystatechange", "loadstart", "progress", "load", "loadend", "error", "abort", "timeout"];

    window.XMLHttpRequest = class XMLHttpRequest extends Native {
      #opened = null;
      #headers = [];
      #body = null;
      #state = "plain"; // then: held (a 401 of ours), again (the second try begins), over

      constructor(...args) {
        super(...args);
        for (const type of EVENTS) super.addEventListener(type, (event) => this.#hear(event)); // before all others
      }

      open(...args) {
        this.#opened = args;
        this.#headers = [];
        this.#state = args.length > 2 && args[2] === false ? "over" : "plain"; // who waits must not wait for a person
        return nativeOpen.apply(this, args);
      }

      setRequestHeader(...args) {
        nativeSet.apply(this, args);
        this.#headers.push(args);
      }

      send(body) {
        this.#body = body;
        return nativeSend.call(this, body);
      }

      abort() {
        if (this.#state === "held") {
          this.#state = "over";
          for (const type of ["readystatechange", "abort", "loadend"]) this.#tell(type);
        }
        return nativeAbort.call(this);
      }

      #tell(type) {
        this.dispatchEvent(type === "readystatechange" ? new Event(type) : new ProgressEvent(type));
      }

      #hear(event) {
        if (!event.isTrusted || this.#state === "over") return;
        if (this.#state === "plain" && this.readyState >= 2 && this.status === 401) {
          const start = startOf(this.status, this.responseURL, this.getResponseHeader("x-td-sign-in"));
          if (start) this.#state = "held";
        }
        if (this.#state === "held") {
          event.stopImmediatePropagation();
          if (event.type === "loadend") this.#wait(this.getResponseHeader("x-td-sign-in"));
        } else if (this.#state === "again") {
          // The app has seen the beginning already.
          if (event.type === "loadstart" || this.readyState < 2) event.stopImmediatePropagation();
          else this.#state = "over";
        }
      }

      async #wait(start) {
        const renewed = await signIn(start);
        if (this.#state !== "held") return; // aborted meanwhile
        if (!renewed) {
          this.#state = "over";
          for (const type of ["readystatechange", "load", "loadend"]) this.#tell(type);
          return;
        }
        this.#state = "again";
        nativeOpen.apply(this, this.#opened);
        for (const header of this.#headers) nativeSet.apply(this, header);
        nativeSend.call(this, this.#body);
      }
    };
  }

  try {
    wrapFetch();
    wrapXhr();
    if (settings.bar) load(settings.bar);
  } catch (problem) {
    console.error("Talkdesk bar:", problem);
  }
})();
