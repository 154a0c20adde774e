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

  const keepOpen = (old, fresh) => {
    for (const each of old.querySelectorAll("details[open][id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(each.id)}`);
      if (twin) twin.open = true;
    }
  };

  const copyAttributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && name !== "class" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  };

  const isKeyed = (element) => element.children.length > 0 && [...element.children].every((one) => one.id)
    && [...element.childNodes].every((one) => one.nodeType === Node.ELEMENT_NODE || !one.textContent.trim());

  // Elements that have an id stay the same elements: what is open in them stays so, and a screen reader goes
  // on listening to a live part whose words change.
  const update = (old, fresh) => {
    if (withoutOpen(old) === withoutOpen(fresh)) return;
    copyAttributes(old, fresh);
    if (!isKeyed(fresh)) {
      keepOpen(old, fresh);
      old.replaceChildren(...fresh.childNodes);
      return;
    }
    const known = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
    const wanted = [...fresh.children].map((one) => {
      const there = known.get(one.id);
      if (!there || there.tagName !== one.tagName) {
        if (known.size) one.classList.add("new");
        return one;
      }
      update(there, one);
      return there;
    });
    wanted.forEach((one, index) => {
      if (old.children[index] !== one) old.insertBefore(one, old.children[index] || null);
    });
    while (old.children.length > wanted.length) old.lastElementChild.remove();
  };

  const updateRegion = (old, fresh) => {
    if (isInUse(old)) return;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const where = focused && (focused.id || focused.getAttribute("href"));
    update(old, fresh);
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
          if (twin) updateRegion(region, twin);
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
