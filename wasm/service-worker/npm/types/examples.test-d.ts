// What users write, checked by `npm run check`; not part of the package.
import { register, type Selvedge } from '@selvedge/service-worker';
import { serve } from '@selvedge/service-worker/worker';

const selvedge: Selvedge = await register();
const answer: Response = await selvedge.fetch('/api/v1/runs', { method: 'POST', signal: AbortSignal.timeout(1000) });
const text: string = `${selvedge.base} ${answer.status} ${selvedge.registration.scope}`;
selvedge.stop();
await register({ worker: new URL('/own.js', 'http://localhost/'), mount: '/flows', type: 'module', scope: '/' });
serve();
serve({ mount: '/flows', database: 'flows', wasm: '/assets/selvedge.wasm' });
// @ts-expect-error there is no such option
serve({ base: '/flows' });
// @ts-expect-error a mount is a text
await register({ mount: 1 });
export { text };
