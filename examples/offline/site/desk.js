// A worker by the ordinary protocol, in a page: claim a task, do it, report.

const WORK = {
  prepare: ({ name }) => ({ text: `${name} is prepared` }),
  ship: ({ name, by }) => ({ text: `${name} is shipped, approved by ${by}` }),
};

/** Works on the queue `desk` until the page is closed. `done` is called after each task. */
export async function work(selvedge, done) {
  const worker_id = `page-${crypto.randomUUID()}`;
  for (;;) {
    try {
      const { tasks } = await post(selvedge, '/api/v1/tasks/claim', { worker_id, queues: ['desk'], wait: '30s' });
      for (const { lease_id, input } of tasks) {
        await post(selvedge, `/api/v1/leases/${lease_id}/complete`, { output: WORK[input.do](input) });
        done();
      }
    } catch (error) {
      console.warn('the desk rests for a moment:', error);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
  }
}

async function post(selvedge, path, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await selvedge.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document;
}
