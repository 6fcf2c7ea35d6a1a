// The HTTP API as a page sees it: requests that the worker answers.

/** Waits until the page's requests are answered by the worker. */
export async function ready(page, url) {
  if (url) await page.goto(url);
  await page.evaluate(() => window.ready.then(({ base }) => base));
}

/** One request from the page: `{status, headers, body}`, a JSON body read. */
export function call(page, method, path, body, headers = {}) {
  return page.evaluate(
    async ([method, path, body, headers]) => {
      const init = { method, headers };
      if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers = { 'content-type': 'application/json', ...headers };
      }
      const answer = await fetch(`/selvedge${path}`, init);
      const text = await answer.text();
      const json = /json/.test(answer.headers.get('content-type') ?? '');
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: json ? JSON.parse(text) : text,
      };
    },
    [method, path, body, headers],
  );
}

/** As `call`, for an answer that has to be of this status. */
export async function expect(page, status, method, path, body, headers) {
  const answer = await call(page, method, path, body, headers);
  if (answer.status !== status) {
    throw new Error(`${method} ${path}: expected ${status}, found ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}

/** Stores a workflow of these tasks. */
export function save(page, name, tasks) {
  return expect(page, 201, 'PUT', `/api/v1/workflows/${name}`, { selvedge: 1, name, tasks });
}

/** Asks until the run is in this state, and returns it. */
export async function reaches(page, id, state, seconds = 30) {
  const ends = Date.now() + seconds * 1000;
  for (;;) {
    const run = await expect(page, 200, 'GET', `/api/v1/runs/${id}`);
    if (run.status === state) return run;
    if (Date.now() > ends) throw new Error(`run ${id}: expected ${state}, found ${JSON.stringify(run)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
