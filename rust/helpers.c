// SPDX-License-Identifier: GPL-2.0
/*
 * One-line functions for macros, inlines and symbols that not every kernel has in its Rust
 * bindings, in the manner of rust/helpers in the kernel. Each is called from exactly one file in
 * rust/.
 */
#include <linux/anon_inodes.h>
#include <linux/cc_platform.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/jump_label.h>
#include <linux/lockdep.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

/* rust/assembly.rs */

/* Whether a device has no node, or one that the table names. */
bool alloclab_may_match(const struct of_device_id *nodes, const struct device *dev)
{
	return !dev->of_node || of_match_device(nodes, dev);
}

/* rust/bound.rs */

const char *alloclab_dev_name(const struct device *dev)
{
	return dev_name(dev);
}

const char *alloclab_controller_name(const struct device *dev)
{
	const struct device *bus = dev->parent;

	return bus && bus->parent ? dev_name(bus->parent) : NULL;
}

u64 alloclab_dma_mask(struct device *dev)
{
	return dma_get_mask(dev);
}

/* rust/context.rs */

/* 2: in an interrupt itself, 1: in a soft interrupt, 0: in a thread. */
int alloclab_place(void)
{
	return in_hardirq() ? 2 : !!in_serving_softirq();
}

bool alloclab_is_preempt_rt(void)
{
	return IS_ENABLED(CONFIG_PREEMPT_RT);
}

static DEFINE_WAIT_OVERRIDE_MAP(alloclab_spinlocks, LD_WAIT_CONFIG);

void alloclab_allow_spinlocks(void)
{
	lock_map_acquire_try(&alloclab_spinlocks);
}

void alloclab_allow_spinlocks_end(void)
{
	lock_map_release(&alloclab_spinlocks);
}

/* rust/debugfs.rs */

struct dentry *alloclab_debugfs_create_dir(const char *name, struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

struct dentry *alloclab_debugfs_create_file(const char *name, umode_t mode, struct dentry *parent,
					    void *data, const struct file_operations *fops)
{
	return debugfs_create_file(name, mode, parent, data, fops);
}

void alloclab_debugfs_remove(struct dentry *dentry)
{
	debugfs_remove(dentry);
}

struct dentry *alloclab_debugfs_lookup(const char *name, struct dentry *parent)
{
	return debugfs_lookup(name, parent);
}

/* rust/device_file.rs */

bool alloclab_vma_is_shared(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYSHARE;
}

bool alloclab_vma_is_executable(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_EXEC;
}

unsigned long alloclab_vma_pages(const struct vm_area_struct *vma)
{
	return vma_pages(vma);
}

/* What is mapped has no users to count, is not to grow, and not to be in core dumps. */
void alloclab_vma_prepare(struct vm_area_struct *vma, struct device *dev)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	/* As dma_pgprot(), which modules cannot call. */
	if (dev && !dev_is_dma_coherent(dev))
		vma->vm_page_prot = pgprot_dmacoherent(vma->vm_page_prot);
}

struct vm_area_struct *alloclab_fault_vma(const struct vm_fault *fault)
{
	return fault->vma;
}

/* rust/dma.rs */

/* Memory that is decrypted for the device could not be mapped as such from here. */
bool alloclab_dma_can_mmap(struct device *dev)
{
	return dma_can_mmap(dev) && !cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

/* rust/dma_pool.rs */

struct dma_pool *alloclab_dma_pool_create(const char *name, struct device *dev, size_t size,
					  size_t align, size_t boundary)
{
	return dma_pool_create(name, dev, size, align, boundary);
}

void alloclab_dma_pool_destroy(struct dma_pool *pool)
{
	dma_pool_destroy(pool);
}

void *alloclab_dma_pool_alloc(struct dma_pool *pool, gfp_t gfp, dma_addr_t *address)
{
	return dma_pool_alloc(pool, gfp, address);
}

void alloclab_dma_pool_free(struct dma_pool *pool, void *block, dma_addr_t address)
{
	dma_pool_free(pool, block, address);
}

/* rust/limits.rs */

size_t alloclab_kmalloc_max_size(void)
{
	return KMALLOC_MAX_SIZE;
}

unsigned int alloclab_max_page_order(void)
{
	return MAX_PAGE_ORDER;
}

unsigned long alloclab_totalram_pages(void)
{
	return totalram_pages();
}

/* rust/line.rs */

bool alloclab_irq_is_nested(unsigned int irq)
{
	return irq_check_status_bit(irq, IRQ_NESTED_THREAD);
}

unsigned int alloclab_irq_trigger(unsigned int irq)
{
	return irq_get_trigger_type(irq);
}

/* rust/lockdown.rs */

int alloclab_locked_down_to_confidentiality(void)
{
	/* Of that level, the reason for a debugging interface that shows kernel memory. */
	return security_locked_down(LOCKDOWN_DBG_READ_KERNEL);
}

/* rust/memory.rs */

size_t alloclab_usable(const void *start, size_t size)
{
	return is_vmalloc_addr(start) ? PAGE_ALIGN(size) : ksize(start);
}

bool alloclab_kernel_zeroes(void)
{
	/* Not by a branch: the kernel warns where it has no memory for a module's branches. */
	return static_key_enabled(&init_on_alloc) || static_key_enabled(&init_on_free);
}

bool alloclab_is_vmalloc(const void *start)
{
	return is_vmalloc_addr(start);
}

bool alloclab_is_linear(const void *address)
{
	return !is_vmalloc_or_module_addr(address);
}

unsigned long alloclab_pfn(const void *address)
{
	return is_vmalloc_or_module_addr(address) ? vmalloc_to_pfn(address) :
						    PHYS_PFN(virt_to_phys(address));
}

void alloclab_zero(unsigned long pfn, size_t offset, size_t len)
{
	memzero_page(pfn_to_page(pfn), offset, len);
}

int alloclab_pfn_to_nid(unsigned long pfn)
{
	return pfn_valid(pfn) ? page_to_nid(pfn_to_page(pfn)) : NUMA_NO_NODE;
}

/* rust/mempool.rs */

mempool_t *alloclab_mempool_create(int reserve, size_t size)
{
	return mempool_create_kmalloc_pool(reserve, size);
}

void *alloclab_mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	return mempool_alloc(pool, gfp);
}

/* rust/page.rs */

/* The kernel's own helper, which is not built as this file is, costs a stack frame more. */
struct page *alloclab_alloc_page(gfp_t gfp)
{
	return alloc_page(gfp);
}

void alloclab_free_page(struct page *page)
{
	__free_page(page);
}

unsigned long alloclab_page_to_pfn(const struct page *page)
{
	return page_to_pfn(page);
}

/* rust/platform.rs */

struct platform_device *alloclab_platform_device_register(const char *name)
{
	return platform_device_register_simple(name, 0, NULL, 0);
}

/* rust/raw.rs */

void *alloclab_kmalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

void *alloclab_krealloc(const void *block, size_t size, gfp_t gfp)
{
	return krealloc(block, size, gfp);
}

void *alloclab_vmalloc(size_t size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

void *alloclab_get_free_pages(gfp_t gfp, unsigned int order)
{
	return (void *)__get_free_pages(gfp, order);
}

/* rust/room.rs */

unsigned long alloclab_available_pages(void)
{
	/* What is set aside for contiguous memory is available to user space alone. */
	long pages = si_mem_available() - (long)global_zone_page_state(NR_FREE_CMA_PAGES);

	return max(pages, 0L);
}

/* rust/schedule.rs */

void alloclab_cond_resched(void)
{
	cond_resched();
}

/* rust/share.rs */

/* An inode of its own, for its address space alone. */
struct inode *alloclab_anon_inode(const char *name, const struct file_operations *fops)
{
	struct file *file = anon_inode_create_getfile(name, fops, NULL, O_RDWR, NULL);
	struct inode *inode;

	if (IS_ERR(file))
		return ERR_CAST(file);
	inode = file_inode(file);
	ihold(inode);
	fput(file);
	return inode;
}

void alloclab_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

unsigned long alloclab_fault_page(const struct vm_fault *fault)
{
	return fault->pgoff;
}

vm_fault_t alloclab_insert_pfn(const struct vm_fault *fault, unsigned long pfn)
{
	return vmf_insert_pfn(fault->vma, fault->address, pfn);
}

/* rust/slab.rs */

struct kmem_cache *alloclab_cache_create(const char *name, unsigned int size, unsigned int align,
					 void (*constructor)(void *object))
{
	return kmem_cache_create(name, size, align, 0, constructor);
}

void *alloclab_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	return kmem_cache_alloc(cache, gfp);
}
