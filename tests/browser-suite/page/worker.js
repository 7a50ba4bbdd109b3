import init, { run } from "./jackfield_browser_suite.js";

const ready = init({ module_or_path: "/jackfield_browser_suite_bg.wasm" });

// Jobs run side by side, as they do in a window.
onmessage = async ({ data: { id, job } }) => {
  try {
    await ready;
    postMessage({ id, outcome: await run(job) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
