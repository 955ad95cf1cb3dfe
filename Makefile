# SPDX-License-Identifier: GPL-2.0-only
#
# For people. The kernel's build system reads dm-snapprot/Kbuild.
#
#   make                    module for the running kernel, and tools
#   make modules KDIR=...   dm-snapprot/dm-snapprot.ko for another kernel
#   make tools              userspace/snapprot
#   make demo               shows in a virtual machine what it does
#   make check              the tests, on Debian's kernels 6.1 and 6.12
#   make check-full         those that take long as well
#   make bench              what it costs, beside linear, dm-snapshot and dm-thin
#   make install            module, tools, manuals; DESTDIR is honoured
#   make uninstall
#   make dkms-install       the module to DKMS, for every kernel with headers
#   make dkms-remove
#   make deb                Debian packages of both, in .build/deb
#   make clean

KDIR ?= /lib/modules/$(shell uname -r)/build
MODULE_DIR ?= $(CURDIR)/dm-snapprot
# Hooks by which the tests provoke failures: never for use.
DEBUG_HOOKS ?= 0

kbuild = $(MAKE) -C $(KDIR) M=$(MODULE_DIR) \
	CONFIG_SNAPPROT_DEBUG=$(if $(filter 1 y,$(DEBUG_HOOKS)),y,n)

# The tools first: they need no kernel headers.
all: tools modules

modules: headers
	$(kbuild) modules

headers:
	@if [ ! -e "$(KDIR)/Makefile" ]; then \
		echo "No kernel headers in $(KDIR)." >&2; \
		echo "Install those of the kernel, or name another one:" >&2; \
		echo "  make modules KDIR=/lib/modules/RELEASE/build" >&2; \
		ls -d /lib/modules/*/build 2> /dev/null | \
			sed 's/^/  there is: KDIR=/' >&2; \
		exit 1; \
	fi

tools:
	$(MAKE) -C userspace

test-tools:
	$(MAKE) -C tests/lib

demo:
	scripts/demo

# CHECK_OPTIONS="--ci 40": and some of check-full, as many as begin within 40 minutes.
CHECK_OPTIONS ?=

check:
	tests/run $(CHECK_OPTIONS)

check-full:
	tests/run --full

bench:
	scripts/bench

# Where the module is that is installed, and for which kernel.
release = $(shell sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h)
installed = $(DESTDIR)/lib/modules/$(release)/updates

# Packages do depmod when they are installed; here there is nobody else.
install: modules tools
	$(kbuild) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates \
		DEPMOD=true modules_install
	$(if $(DESTDIR),,depmod $(release))
	$(MAKE) -C userspace install

uninstall: headers
	rm -f $(installed)/dm-snapprot.ko $(installed)/dm-snapprot.ko.*
	$(if $(DESTDIR),,depmod $(release))
	$(MAKE) -C userspace uninstall

dkms-install:
	scripts/dkms install

dkms-remove:
	scripts/dkms remove

deb:
	scripts/build-deb

clean:
	rm -rf .build
	$(MAKE) -C userspace clean
	$(MAKE) -C tests/lib clean
	if [ -e tests/unit/Makefile ]; then $(MAKE) -C tests/unit clean; fi
	$(MAKE) -C tests/fuzz clean
	find dm-snapprot \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '.*.d' \
		-o -name modules.order -o -name Module.symvers \
		-o -name have.h \) -delete

.PHONY: all modules headers tools test-tools demo check check-full bench \
	install uninstall dkms-install dkms-remove deb clean
