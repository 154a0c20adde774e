// Live updates. The server says that something happened; the page asks for itself anew and puts in place what
// became different, so that nothing a person has opened, typed or focused is lost. Without this all works by reloading.
"use strict";
(() => {
  let stream = null, asking = false, again = false;

  const withoutOpen = (element) => {
    const copy = element.cloneNode(true);
    for (const each of [copy, ...copy.querySelectorAll("details")]) each.removeAttribute("open");
    copy.classList.remove("new");
    return copy.outerHTML.replace(' class=""', "");
  };

  const isInUse = (element) => {
    const focused = document.activeElement;
    for (const one of element.querySelectorAll("input:not([type=hidden])")) {
      if (one.value !== one.defaultValue || one.checked !== one.defaultChecked) return true;
    }
    return focused && element.contains(focused) && ["INPUT", "SELECT", "TEXTAREA"].includes(focused.tagName);
  };

  // Children that have an id are kept where they did not change, with whatever is open in them.
  const replaceKeyed = (old, fresh) => {
    const known = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
    const wanted = [...fresh.children].map((one) => {
      const there = known.get(one.id);
      if (there && withoutOpen(there) === withoutOpen(one)) return there;
      if (there) keepOpen(there, one);
      else if (known.size) one.classList.add("new");
      return one;
    });
    wanted.forEach((one, index) => {
      if (old.children[index] !== one) old.insertBefore(one, old.children[index] || null);
    });
    while (old.children.length > wanted.length) old.lastElementChild.remove();
  };

  const keepOpen = (old, fresh) => {
    for (const each of old.querySelectorAll("details[open][id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(each.id)}`);
      if (twin) twin.open = true;
    }
  };

  const replaceRegion = (old, fresh) => {
    if (isInUse(old) || withoutOpen(old) === withoutOpen(fresh)) return;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const where = focused && (focused.id || focused.getAttribute("href"));
    const keyed = fresh.children.length && [...fresh.children].every((one) => one.id);
    if (keyed) replaceKeyed(old, fresh);
    else { keepOpen(old, fresh); old.replaceChildren(...fresh.childNodes); }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
    if (focused && !document.contains(focused)) {
      const twin = where && [...old.querySelectorAll("a, button, [id]")].find((one) => (one.id || one.getAttribute("href")) === where);
      (twin || document.getElementById("main")).focus({ preventScroll: true });
    }
  };

  const look = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok || answer.status === 409) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const region of document.querySelectorAll("[data-live]")) {
          const twin = fresh.getElementById(region.id);
          if (twin) replaceRegion(region, twin);
        }
        document.title = fresh.title;
      }
    } catch { /* the stream comes back when the sandbox does, and then the page looks again */ }
    asking = false;
    if (again) { again = false; look(); }
  };

  const listen = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("/_live");
    stream.addEventListener("open", look);
    stream.addEventListener("change", look);
  };

  // A browser keeps six connections to a host: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stream?.close(); stream = null; } else listen();
  });
  if (document.querySelector("[data-live]")) listen();
})();
