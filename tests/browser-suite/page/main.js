// Gives the tests two ways to run a job, `suite.window(job)` and `suite.worker(job)`; how much the
// window's job has written so far, `suite.sent()`; and how large its module's memory is,
// `suite.bytes()`. And what is done with a store, `suite.store(job)`.
import init, { run, sent, store } from "./jackfield_browser_suite.js";

// An Isolated Web App may start a worker only through a policy.
globalThis.trustedTypes?.createPolicy("default", { createScriptURL: (url) => url });

const worker = new Worker("/worker.js", { type: "module" });
let last = 0;

const inWorker = (job) =>
  new Promise((resolve, reject) => {
    const id = ++last;
    const answered = ({ data }) => {
      if (data.id !== id) return;
      worker.removeEventListener("message", answered);
      if ("error" in data) reject(new Error(data.error));
      else resolve(data.outcome);
    };
    worker.addEventListener("message", answered);
    worker.postMessage({ id, job });
  });

const { memory } = await init({ module_or_path: "/jackfield_browser_suite_bg.wasm" });
const bytes = () => memory.buffer.byteLength;
globalThis.suite = { window: run, worker: inWorker, sent, bytes, store };
