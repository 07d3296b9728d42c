# A front for Meson: make, make demo, make bench, make test, make install (PREFIX, LIBDIR, DESTDIR), make clean.
BUILD = build
PREFIX = /usr/local
MESON = meson
# Debian's linker and pkg-config look into lib; Meson takes lib64 where dpkg-dev is not installed to correct it.
LIBDIR = $(if $(wildcard /etc/debian_version),lib)
WHERE = --prefix=$(PREFIX) $(if $(LIBDIR),--libdir=$(LIBDIR))

all: need-check $(BUILD)/build.ninja
	@$(MESON) compile -C $(BUILD)
	@cp -f $(BUILD)/tool/tong tong

# The command alone, in half the time: without the tests and the rivals of the bench.
tong: need-check $(BUILD)/build.ninja
	@$(MESON) compile -C $(BUILD) tool/tong:executable
	@cp -f $(BUILD)/tool/tong tong

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) $(WHERE)

need-check:
	@scripts/need.sh build check

# Both install what is missing first, and ask for root only then.
demo:
	@scripts/need.sh build
	@$(MAKE) -s --no-print-directory tong
	@./tong demo

# What other libraries need to be measured too: doc/performance.md.
bench:
	@scripts/need.sh build
	@$(MAKE) -s --no-print-directory all
	@./tong bench --quick --report bench.html
	@echo "The page: bench.html"

test:
	@scripts/need.sh test
	@$(MAKE) -s --no-print-directory $(BUILD)/build.ninja
	@$(MESON) configure $(BUILD) -Dtests=enabled
	@$(MESON) test -C $(BUILD) --print-errorlogs $(TESTFLAGS); status=$$?; \
		scripts/tally.py $(BUILD)/meson-logs/testlog.json && exit $$status

# The manual pages need scdoc and tong top ncurses, which may come only now; the linker has to hear of a new library.
install:
	@scripts/need.sh install
	@$(MAKE) -s --no-print-directory $(BUILD)/build.ninja
	@$(MESON) setup --reconfigure $(BUILD) $(WHERE) >/dev/null
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then PATH="$$PATH:/sbin:/usr/sbin" ldconfig; fi

clean:
	rm -rf $(BUILD) tong

.PHONY: all tong need-check demo bench test install clean
