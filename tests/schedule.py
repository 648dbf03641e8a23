# SPDX-License-Identifier: GPL-2.0
"""Which worker runs which group when: those that take longest first.

But a row's detectors are proved before anything else runs on it.
"""

from xdist.scheduler import LoadScopeScheduling


class Scheduling(LoadScopeScheduling):
    """A worker takes the next group when one test of its last one is left: it runs a test only when
    it knows what comes next.
    """

    def __init__(self, config, log, plan):
        super().__init__(config, log)
        self.plan = plan

    def _split_scope(self, nodeid):
        return self.plan.find(nodeid).name

    def _assign_work_unit(self, node):
        # A worker that proves a row's detectors may have more of the row, which it runs after that.
        units = [*self.workqueue.items(), *(pair for other, work in self.assigned_work.items()
                                            if other is not node for pair in work.items())]
        unproved = {self.plan.groups[name].run.row for name, unit in units
                    if self.plan.groups[name].proves and not all(unit.values())}
        may = [group for group in map(self.plan.groups.get, self.workqueue)
               if group.proves or group.run.row not in unproved]
        if may:
            first = min(may, key=lambda group: (not group.proves, -group.seconds))
            self.workqueue.move_to_end(first.name, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node):
        if node not in self.registered_collections:
            # It takes the place of one that has died, and still collects.
            return
        left = None
        # A group may be of one test.
        while left != len(self.workqueue) and (
                self._pending_of(self.assigned_work[node]) <= 1 or not self.workqueue):
            left = len(self.workqueue)
            super()._reschedule(node)

    def mark_test_complete(self, node, item_index, duration=0):
        super().mark_test_complete(node, item_index, duration)
        if self.plan.find(self.collection[item_index]).proves:
            for other in self.nodes:
                self._reschedule(other)

    def remove_node(self, node):
        """Others run what a worker that has died has left, but not what it died of."""
        work = self.assigned_work.pop(node)
        left = [(unit, test) for unit in work.values() for test, done in unit.items() if not done]
        for unit, test in left[:1]:
            unit[test] = True
        self.workqueue.update(pair for pair in work.items() if not all(pair[1].values()))
        for other in self.nodes if left else []:
            self._reschedule(other)
        return left[0][1] if left else None
