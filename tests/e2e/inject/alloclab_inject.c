// SPDX-License-Identifier: GPL-2.0
/*
 * Presses the button from inside: injects edges into an interrupt from one thread a CPU, each as
 * fast as the interrupt takes them. Only tests load it.
 *
 * It does so in one of three ways:
 * - `count`: so many edges before the load returns; a refused one ends it with its error.
 * - `ms`: in the background, for so long or until it is unloaded, whatever the interrupt says.
 * - The file alloclab_inject in debugfs: write a number, and so many edges are injected from the
 *   writer's CPU before the write returns.
 *
 * Not for lines of gpio-sim: their controller takes an edge for an edge that is still pending.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#define MAX_CPUS 8

static unsigned int irq;
module_param(irq, uint, 0);
MODULE_PARM_DESC(irq, "number of the interrupt, from the driver's `ready` line");

static unsigned int count;
module_param(count, uint, 0);
MODULE_PARM_DESC(count, "edges to inject, in total");

static unsigned int cpus[MAX_CPUS];
static unsigned int nr_cpus;
module_param_array(cpus, uint, &nr_cpus, 0);
MODULE_PARM_DESC(cpus, "CPUs to inject from, one thread each (default: CPU 0)");

static unsigned int ms;
module_param(ms, uint, 0);
MODULE_PARM_DESC(ms, "milliseconds to inject for in the background, instead of `count`");

static unsigned int gap_us;
module_param(gap_us, uint, 0);
MODULE_PARM_DESC(gap_us, "pause of a thread after each edge, in microseconds");

/* How long a thread of the background waits while the interrupt is inactive, in microseconds. */
#define INACTIVE_US 50
/* How long an edge may be on its way, in jiffies, even if a host lets the CPU wait. */
#define PATIENCE (60 * HZ)
/* After so long a state is taken for stale: in the background, a pause is worse than a mistake. */
#define STALE HZ
#define STALE_IN_BACKGROUND 3

struct injector {
	struct task_struct *thread;
	struct completion done;
	unsigned int edges;
	int error;
};

static struct injector injectors[MAX_CPUS];
static struct dentry *file;

/*
 * One edge, as soon as the edge before has reached the handler: EBUSY says that it has not.
 *
 * An interrupt that is freed between an injection and its handler drops the injected edge, but goes
 * on saying EBUSY until its next real edge (irq_shutdown() leaves IRQS_REPLAY set). With
 * `leave_stale`, that state is left by handing the flow handler this edge directly, once EBUSY has
 * lasted. Two such edges at once may be one to the handler, and so may one and an injected edge.
 */
static int inject_one(unsigned long patience, bool leave_stale)
{
	unsigned long deadline = jiffies + patience;
	int ret;

	do {
		cond_resched();
		/*
		 * Where the controller cannot raise its line, a tasklet does: it runs when bottom
		 * halves are enabled again, and otherwise at the next tick.
		 */
		local_bh_disable();
		ret = irq_inject_interrupt(irq);
		local_bh_enable();
	} while (ret == -EBUSY && time_before(jiffies, deadline));

	return ret == -EBUSY && leave_stale ? generic_handle_irq_safe(irq) : ret;
}

/*
 * One edge that is exactly one to the handler: only the first finds a stale state, and while it
 * leaves that there is no other.
 */
static int inject_exactly_one(void)
{
	static DEFINE_MUTEX(first);
	static bool begun;
	int ret;

	/* Pairs with the release below: the first edge has been handled. */
	if (smp_load_acquire(&begun))
		return inject_one(PATIENCE, false);

	mutex_lock(&first);
	ret = inject_one(begun ? PATIENCE : STALE, !begun);
	/* Pairs with the acquire above. */
	smp_store_release(&begun, true);
	mutex_unlock(&first);
	return ret;
}

static int inject(void *data)
{
	struct injector *injector = data;
	unsigned int i;

	for (i = 0; i < injector->edges && !injector->error; i++) {
		injector->error = inject_exactly_one();
		if (gap_us)
			fsleep(gap_us);
	}

	kthread_complete_and_exit(&injector->done, 0);
}

static int inject_in_background(void *data)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);

	while (!kthread_should_stop() && time_before(jiffies, end)) {
		int ret = inject_one(STALE_IN_BACKGROUND, true);

		if (ret)
			fsleep(INACTIVE_US);
		if (gap_us)
			fsleep(gap_us);
	}

	/* Until it is stopped, the thread is there to be stopped. */
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int start(struct injector *injector, unsigned int cpu, unsigned int edges)
{
	struct task_struct *thread;

	init_completion(&injector->done);
	injector->edges = edges;

	thread = kthread_create(ms ? inject_in_background : inject, injector, "alloclab_inject/%u",
				cpu);
	if (IS_ERR(thread)) {
		complete(&injector->done);
		return PTR_ERR(thread);
	}
	kthread_bind(thread, cpu);
	if (ms)
		injector->thread = thread;
	wake_up_process(thread);
	return 0;
}

/* Ends the threads of the background, if there are any. */
static void stop(void)
{
	unsigned int i;

	for (i = 0; i < nr_cpus; i++) {
		if (injectors[i].thread)
			kthread_stop(injectors[i].thread);
	}
}

static ssize_t write_edges(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	unsigned int edges;
	int ret = kstrtouint_from_user(text, len, 0, &edges);

	while (!ret && edges--)
		ret = inject_exactly_one();
	return ret ?: len;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = write_edges,
	.llseek = noop_llseek,
};

static int __init alloclab_inject_init(void)
{
	ktime_t begin = ktime_get();
	unsigned int i, left = count;
	int ret = 0;

	if (!nr_cpus)
		nr_cpus = 1;

	for (i = 0; i < nr_cpus; i++) {
		if (cpus[i] >= nr_cpu_ids || !cpu_online(cpus[i])) {
			pr_err("cpus: %u is not an online CPU\n", cpus[i]);
			return -EINVAL;
		}
	}

	for (i = 0; i < nr_cpus && !ret; i++) {
		unsigned int edges = left / (nr_cpus - i);

		ret = start(&injectors[i], cpus[i], edges);
		left -= edges;
	}

	if (ms && ret)
		stop();

	/* The threads run this module's code: wait for all that were started, however long. */
	while (!ms && i--) {
		wait_for_completion_state(&injectors[i].done, TASK_IDLE);
		ret = ret ?: injectors[i].error;
	}

	if (ret) {
		pr_err("irq %u: %d\n", irq, ret);
		return ret;
	}
	file = debugfs_create_file(KBUILD_MODNAME, 0200, NULL, NULL, &operations);
	if (ms)
		return 0;
	pr_info("injected %u edges into irq %u in %lld us\n", count, irq,
		ktime_us_delta(ktime_get(), begin));
	return 0;
}
module_init(alloclab_inject_init);

static void __exit alloclab_inject_exit(void)
{
	debugfs_remove(file);
	stop();
}
module_exit(alloclab_inject_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Edge injector for alloclab's tests");
