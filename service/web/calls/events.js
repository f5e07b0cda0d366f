// A job's progress: Server-Sent Events where they come through, else asking again and again.
// EventSource cannot send a key, so the stream is read here.

import { call, pause, read } from "./api.js";

const ENDED = new Set(["succeeded", "failed", "cancelled", "expired"]);
const ATTEMPTS = 3;

export function hasEnded(state) {
  return ENDED.has(state);
}

/** Tells `onProgress` {state, tiles_done, tiles_total} until the job has ended. */
export async function follow(job, onProgress, signal) {
  let last = null;
  let failures = 0;
  let over = false;
  while (failures < ATTEMPTS && !over) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      const response = await call(job.links.events, { headers, signal });
      if (response.status === 204) return;
      for await (const message of messages(response.body)) {
        last = message.id ?? last;
        failures = 0;
        if (!message.data) continue;
        const progress = JSON.parse(message.data);
        onProgress(progress);
        over = hasEnded(progress.state);
      }
      if (!over) failures += 1;
    } catch (error) {
      if (signal?.aborted) throw error;
      failures += 1;
    }
    if (!over) await pause(500 * 2 ** failures, signal);
  }
  if (!over) await poll(job, onProgress, signal);
}

/** The same without a stream (a proxy that holds it back, no places left). */
async function poll(job, onProgress, signal) {
  for (;;) {
    const now = await read(job.links.self, { signal });
    onProgress(now);
    if (hasEnded(now.state)) return;
    await pause(1000, signal);
  }
}

/** The messages of an event stream, {id, event, data}. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      buffer += value;
      const parts = buffer.split("\n\n");
      buffer = parts.pop();
      for (const part of parts) yield fields(part);
    }
  } finally {
    await reader.cancel();
  }
}

function fields(text) {
  const message = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) message[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  return message;
}
