// Live refresh that can be paused, and that disturbs nobody who is reading: what is unfolded or focused stays so.
"use strict";
(() => {
  const KEY = "phi-guard-paused";
  const pause = document.getElementById("pause");
  const every = pause ? Number(pause.dataset.every) * 1000 : 0;
  let paused = sessionStorage.getItem(KEY) === "1";

  const show = () => {
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Paused" : "Pause";
    pause.title = paused ? "Go on with the live refresh" : "Pause the live refresh";
  };
  const busy = () => {
    const at = document.activeElement;
    return document.hidden || (at && at.matches("input, select, textarea")) || !document.getSelection().isCollapsed;
  };
  if (pause && every > 0 && window.htmx) {
    pause.hidden = false;
    show();
    pause.addEventListener("click", () => {
      paused = !paused;
      sessionStorage.setItem(KEY, paused ? "1" : "0");
      show();
    });
    setInterval(() => {
      if (!paused && !busy()) window.htmx.trigger("#live", "refresh");
    }, every);
  }

  const again = document.getElementById("again");
  if (again && window.htmx) {
    again.addEventListener("click", (event) => {
      event.preventDefault();
      window.htmx.trigger("#live", "refresh");
    });
  }

  let open = [], focused = null;
  document.body.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("#live details[open][id]")].map((each) => each.id);
    const at = document.activeElement;
    focused = at && at.closest("#live") && (at.id ? `#${CSS.escape(at.id)}` : at.getAttribute("href") && `#live a[href="${CSS.escape(at.getAttribute("href"))}"]`);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused && (document.activeElement === document.body || !document.activeElement)) {
      (document.querySelector(focused) || document.getElementById("main")).focus({ preventScroll: true });
    }
  });
})();
