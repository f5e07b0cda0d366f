// A POST that makes one resource, even when its answer is lost and it is sent again.

import { read, requestName } from "./api.js";

export class Submission {
  /**
   * The JSON of the answer to a form. The same form has the same name (Idempotency-Key) until an
   * answer has settled what became of it.
   */
  async send(path, form) {
    const fields = [path, ...[...form].flat()];
    if (!alike(fields, this.fields)) Object.assign(this, { fields, name: requestName() });
    try {
      const answer = await read(path, {
        method: "POST", body: form, headers: { "Idempotency-Key": this.name },
      });
      this.fields = null;
      return answer;
    } catch (error) {
      // No answer, a proxy's, or that of a service that is still at it: the resource may come to be.
      if (error.status < 500 && !error.retryAfter) this.fields = null;
      throw error;
    }
  }
}

/** Whether two lists of text and files have the very same members. */
function alike(some, others) {
  return some.length === others?.length && some.every((each, index) => each === others[index]);
}
