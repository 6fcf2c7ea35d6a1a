// The workflow of the example, as it is sent to `PUT /api/v1/workflows/release`.

export const RELEASE = {
  selvedge: 1,
  name: 'release',
  description: 'Prepare a release, wait for an approval, ship it.',
  input: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 1 } } },
  tasks: {
    // This page is the worker of the queue `desk`, see desk.js.
    prepare: { worker: 'desk', with: { do: 'prepare', name: '${{ input.name }}' } },
    // Waits for a signal, for days if need be and while the browser is closed.
    approve: { needs: ['prepare'], signal: 'approval' },
    cool_down: { needs: ['approve'], sleep: '2s' },
    ship: {
      needs: ['approve', 'cool_down'],
      worker: 'desk',
      with: { do: 'ship', name: '${{ input.name }}', by: '${{ tasks.approve.output.by }}' },
    },
  },
  output: '${{ tasks.ship.output }}',
};

/** What each task is called on the page, in order. */
export const STEPS = [
  ['prepare', 'Prepare'],
  ['approve', 'Approval'],
  ['cool_down', 'Cool down'],
  ['ship', 'Ship'],
];
