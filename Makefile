# SPDX-License-Identifier: GPL-2.0
#
# What to do with alloclab; `make help` lists it.  How the module is built is in
# Kbuild, which the kernel's build reads in place of this file.

# Rows of scripts/kernel/table; what a target does without is said in `make help`.
KERNEL :=
# For `make demo`: the bus of a device that is in the button's place.
BUS :=
# For `make test` and `make kunit`: arguments of pytest, which choose among their tests.
ARGS :=

# For any prepared kernel tree, with none of our set-up.
ifeq ($(origin KDIR),command line)
modules clean:
	+@scripts/kdir.sh $@ "$(KDIR)"

.PHONY: modules clean
else

enter := scripts/enter.sh

all:
	@$(enter) -l make $(if $(KERNEL),-m) scripts/task.sh build $(KERNEL)

test kunit:
	@$(enter) -l 'make $@' -m scripts/task.sh $@ $(KERNEL) -- $(ARGS)

rust-analyzer doc:
	@$(enter) -l 'make $@' $(if $(KERNEL),-m) scripts/task.sh $@ $(KERNEL)

demo:
	@$(enter) -l 'make $@' scripts/task.sh $@ $(if $(BUS),"$(BUS)")

shell:
	@$(enter) -l 'make $@' scripts/task.sh $@

torture torture-quick matrix bench upstream canary update user:
	@$(enter) -l 'make $@' -m scripts/task.sh $@

check:
	@$(enter) -l 'make $@' -m scripts/task.sh $@ $(if $(CHECK),"$(CHECK)")

# The build root sees this clone alone: a tree from elsewhere is copied into it.
overlay:
	@if [ -f "$$BOARD" ]; then \
		mkdir -p out/overlay/given && cp -- "$$BOARD" out/overlay/given/ && \
		BOARD=out/overlay/given/$${BOARD##*/}; \
	fi; $(enter) -l 'make $@' -t scripts/task.sh $@ "$$BOARD" "$$GPIO" "$$MERGE"

press:
	@$(enter) scripts/press.py

# Of this machine, not of the build root.
doctor:
	@scripts/doctor

clean distclean:
	@scripts/clean.sh $@

help:
	@sed 1,2d scripts/help

.PHONY: all demo test kunit torture torture-quick matrix bench upstream check shell update
.PHONY: canary overlay press user doctor rust-analyzer doc clean distclean help
endif
