// The one way from a page to the API. Errors come out as ApiError; a session that has ended leads
// to the sign-in page and back.

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 when the daemon gave no answer.
   * @param {{message?: string, details?: {field: string, message: string}[]}} body
   */
  constructor(status, body) {
    super(body.message || `The daemon answered ${status}.`);
    this.status = status;
    this.details = Array.isArray(body.details) ? body.details : [];
    this.correlationId = body.correlation_id || null;
  }
}

const csrfToken = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export function signInAgain() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** The query part for these parameters; empty ones are left out. */
export function query(parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

/** Call the API. Returns the decoded answer, null for 204. */
export function api(path, { method = "GET", body = null, signal = undefined } = {}) {
  return call(path, method, body === null ? undefined : JSON.stringify(body), "application/json", signal);
}

/** Send a file as the text that it is. */
export function upload(path, file) {
  return call(path, "POST", file, "text/plain");
}

async function call(path, method, body, type, signal = undefined) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrfToken;
  if (body !== undefined) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The daemon does not answer." });
  }
  if (response.status === 401) {
    signInAgain();
    throw new ApiError(401, { message: "Your session has ended." });
  }
  if (response.status === 204) return null;
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    if (response.ok) throw new ApiError(response.status, { message: "The daemon’s answer was cut short." });
  }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}
