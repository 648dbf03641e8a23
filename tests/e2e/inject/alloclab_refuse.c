// SPDX-License-Identifier: GPL-2.0
/*
 * Has requests of interrupts fail late, when their trigger is set already: while it is loaded, none
 * of the controller of `irq` can be activated. Only tests load it, with no such request under way.
 */
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/slab.h>

static unsigned int irq;
module_param(irq, uint, 0);
MODULE_PARM_DESC(irq, "number of an interrupt, from the driver's `ready` line");

static struct irq_domain *domain;
static const struct irq_domain_ops *operations;

static int refuse(struct irq_domain *domain, struct irq_data *data, bool early)
{
	return -EIO;
}

static int __init alloclab_refuse_init(void)
{
	struct irq_data *data = irq_get_irq_data(irq);
	struct irq_domain_ops *const refusing = kmalloc(sizeof(*refusing), GFP_KERNEL);

	if (!refusing)
		return -ENOMEM;
	if (!data || !data->domain) {
		kfree(refusing);
		return -ENODEV;
	}
	domain = data->domain;
	operations = domain->ops;
	*refusing = *operations;
	refusing->activate = refuse;
	domain->ops = refusing;
	return 0;
}
module_init(alloclab_refuse_init);

static void __exit alloclab_refuse_exit(void)
{
	const struct irq_domain_ops *refusing = domain->ops;

	domain->ops = operations;
	kfree(refusing);
}
module_exit(alloclab_refuse_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The alloclab authors");
MODULE_DESCRIPTION("Failing interrupt requests for alloclab's tests");
