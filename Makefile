# davit: one non-recursive Makefile, everything built below build/. `make help` lists the targets.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC = gcc
VERSION := 0.1.0

PKGS := libprotobuf-c jansson
PKGS_RUNTIME := libseccomp libcap libnl-3.0 libnl-route-3.0 libnftables libarchive libsodium
PKGS_MIGRATE := libxxhash libsodium libzstd liblz4
PKGS_AGENT := libmicrohttpd sqlite3 libsodium gnutls
PKGS_CURL := libcurl
PKGS_ALL := $(sort $(PKGS) $(PKGS_RUNTIME) $(PKGS_MIGRATE) $(PKGS_AGENT) $(PKGS_CURL))

# snprintf cutting a text to its buffer is meant wherever it is not checked.
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-truncation -Werror
HARDEN := -fstack-protector-strong -fPIE
ifeq ($(SAN),1)
  BUILD := build/san
  OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
  LDOPT := -fsanitize=address,undefined
else
  OPT := -O2 -g -D_FORTIFY_SOURCE=3
  LDOPT :=
endif
# `linux` is a macro in gnu17 and a member of the OCI spec.
CPPFLAGS += -D_GNU_SOURCE -Ulinux -DDAVIT_VERSION='"$(VERSION)"' -DDAVIT_PREFIX='"$(PREFIX)"' -I. -I$(BUILD)/gen
CFLAGS += -std=gnu17 $(OPT) $(WARN) $(HARDEN) -MMD -MP $(shell pkg-config --cflags $(PKGS_ALL) 2>/dev/null)
LDFLAGS += $(LDOPT) -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed

# Sources by folder: a new file is found by its place.
PROTOS := $(wildcard proto/*.proto)
PROTO_C := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
PROTO_H := $(PROTO_C:.c=.h)
PROTO_TYPES := $(BUILD)/gen/proto/types.c
SRC_base := $(wildcard base/*.c)
SRC_proto := $(wildcard proto/*.c)
SRC_runtime := $(filter-out runtime/cli/% runtime/monitor/% runtime/tar/%,$(wildcard runtime/*.c runtime/*/*.c))
SRC_migrate := $(filter-out migrate/mover/%,$(wildcard migrate/*.c migrate/*/*.c))
SRC_agent := $(filter-out agent/cli/%,$(wildcard agent/*.c agent/*/*.c))
SRC_cli := $(filter-out agent/cli/main.c,$(wildcard agent/cli/*.c))
SRC_davit-runtime := $(wildcard runtime/cli/*.c)
SRC_davit-monitor := $(wildcard runtime/monitor/*.c) proto/attach.c
SRC_davit-mover := $(wildcard migrate/mover/*.c)
SRC_tar := $(wildcard runtime/tar/*.c)
SRC_davit := $(wildcard agent/cli/*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(SRC_$(1)))
LIB := $(BUILD)/lib
L_base := $(LIB)/libbase.a
L_proto := $(LIB)/libproto.a
L_runtime := $(LIB)/libruntime.a
L_migrate := $(LIB)/libmigrate.a
libs = $(shell pkg-config --libs $(1) 2>/dev/null)
# davit-runtime starts with every container, twice at times, so what its dynamic loader does counts: what comes as an archive is linked in, and the two
# libraries that bring many others are loaded when they are needed (runtime/lazy.h). 0.7 ms a start instead of 3.
RUNTIME_LIBS := protobuf-c jansson seccomp cap nl-route-3 nl-3 sodium
archive = $(if $(findstring /,$(shell $(CC) -print-file-name=lib$(1).a)),-l:lib$(1).a,-l$(1))

BIN := $(BUILD)/bin
LIBEXEC := $(BUILD)/libexec
PROGS := $(BIN)/davit-runtime $(BIN)/davit-monitor $(BIN)/davitd $(BIN)/davit $(LIBEXEC)/davit-mover $(LIBEXEC)/criu/tar
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%) $(BUILD)/tests/corectl $(BUILD)/tests/table

ifeq ($(VERBOSE),)
.SILENT:
endif
.PHONY: all objects deps demo check unit tools docs bench lint fmt fuzz install clean help
.DELETE_ON_ERROR:
.SECONDARY:
all: $(PROGS) ## build everything into build/bin

objects: $(foreach d,base proto runtime migrate agent davit-runtime davit-monitor davit-mover davit tar,$(call obj,$(d))) ## compile without linking

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

deps: ## install what build, tests and demo need; says what it does and why
	@packaging/deps.sh

# The set-up runs in a make of its own, since it may bring pkg-config itself.
demo: ## move a live redis between two hosts, made on this machine
	@packaging/deps.sh demo
	@$(MAKE) --no-print-directory -s -j2 all tools
	@DAVIT_BUILD=$(abspath $(BUILD)) tests/e2e/demo.sh

check: deps ## run all tests
	@$(MAKE) --no-print-directory -s -j2 all unit tools $(BUILD)/tools/errors
	@DAVIT_BUILD=$(abspath $(BUILD)) tests/run.sh

unit: $(UNIT) ## build the unit tests

bench: deps ## measure against runc, crun and podman
	@$(MAKE) --no-print-directory -s -j2 all tools
	@DAVIT_BUILD=$(abspath $(BUILD)) tests/bench/run.sh

lint: ## shellcheck, format, folder directions, sizes
	@tests/lint.sh

fmt: ## format all C files
	@clang-format -i $$(git ls-files '*.c' '*.h')

fuzz: ## run each fuzzer for FUZZ_SECONDS (default 20)
	@tests/fuzz/run.sh

$(BUILD)/gen/proto/%.pb-c.c $(BUILD)/gen/proto/%.pb-c.h: proto/%.proto $(PROTOS)
	@mkdir -p $(BUILD)/gen/proto
	protoc-c -Iproto --c_out=$(BUILD)/gen/proto $<
$(PROTO_TYPES): $(PROTO_H) Makefile
	@{ for h in $(notdir $(PROTO_H)); do echo "#include \"$$h\""; done; \
	echo '#include "proto/types.h"'; echo 'const ProtobufCMessageDescriptor *const proto_types[] = {'; \
	sed -n 's/^extern const ProtobufCMessageDescriptor \(.*\);/\t\&\1,/p' $(PROTO_H); echo '};'; \
	echo 'const size_t proto_types_count = sizeof(proto_types) / sizeof(proto_types[0]);'; } >$@
$(PROTO_TYPES:.c=.o): $(PROTO_TYPES)
	$(CC) $(CPPFLAGS) -I$(BUILD)/gen/proto $(CFLAGS) -c -o $@ $<
$(BUILD)/gen/proto/%.pb-c.o: $(BUILD)/gen/proto/%.pb-c.c | $(PROTO_H)
	$(CC) $(CPPFLAGS) -I$(BUILD)/gen/proto $(filter-out -W%,$(CFLAGS)) -c -o $@ $<
$(BUILD)/obj/%.o: %.c | $(PROTO_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(BUILD)/gen/proto $(CFLAGS) -c -o $@ $<

define lib_rule
$(LIB)/lib$(1).a: $(call obj,$(1)) $(2)
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(eval $(call lib_rule,base,))
$(eval $(call lib_rule,proto,$(PROTO_C:.c=.o) $(PROTO_TYPES:.c=.o)))
$(eval $(call lib_rule,runtime,))
$(eval $(call lib_rule,migrate,))
$(eval $(call lib_rule,agent,))
$(eval $(call lib_rule,cli,))

LINK = @mkdir -p $(@D); echo "  LINK $@"; $(CC) $(LDFLAGS) -o $@
$(BIN)/davit-runtime: $(call obj,davit-runtime) $(L_runtime) $(L_proto) $(L_base)
	$(LINK) $^ $(foreach l,$(RUNTIME_LIBS),$(call archive,$(l))) -lpthread -lm
$(BIN)/davit-monitor: $(call obj,davit-monitor) $(L_base)
	$(LINK) $^
$(BIN)/davitd: $(LIB)/libagent.a $(L_migrate) $(L_proto) $(L_base)
	$(LINK) -Wl,--whole-archive $(LIB)/libagent.a -Wl,--no-whole-archive $(L_migrate) $(L_proto) $(L_base) $(call libs,$(PKGS) $(PKGS_MIGRATE) $(PKGS_AGENT)) -lpthread
$(LIBEXEC)/davit-mover: $(call obj,davit-mover) $(L_migrate) $(L_proto) $(L_base)
	$(LINK) $^ $(call libs,$(PKGS) $(PKGS_MIGRATE) $(PKGS_CURL)) -lpthread
# Starts six times while a container stands still, so without a dynamic loader; the sanitizers have no static runtime for such programs.
$(call obj,tar): CFLAGS := $(filter-out -fsanitize=%,$(CFLAGS))
$(LIBEXEC)/criu/tar: $(call obj,tar)
	@mkdir -p $(@D)
	$(CC) -static-pie -o $@ $^ -l:libz.a
$(BIN)/davit: $(call obj,davit) $(L_proto) $(L_base)
	$(LINK) $^ $(call libs,$(PKGS) $(PKGS_CURL)) -lpthread
# A unit test may link any library; davitd's and davit's own objects come as libraries whose main stays unreferenced or is left out. The runtime comes first:
# a few of its functions have namesakes in the agent, which never meet in a program.
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(L_runtime) $(LIB)/libcli.a $(LIB)/libagent.a $(L_migrate) $(L_proto) $(L_base)
	$(LINK) $< $(L_runtime) $(LIB)/libcli.a $(LIB)/libagent.a $(L_migrate) $(L_proto) $(L_base) -lcmocka $(call libs,$(PKGS_ALL)) -lpthread

# Stands in for davitd before the runtime core.
$(BUILD)/tests/corectl: $(BUILD)/obj/tests/lib/corectl.o $(BUILD)/obj/tests/lib/source.o $(L_proto) $(L_base)
	$(LINK) $^ $(call libs,$(PKGS)) -lpthread

# Prints the handover's table for the model checker.
$(BUILD)/tests/table: $(BUILD)/obj/tests/model/table.o $(L_migrate) $(L_proto) $(L_base)
	$(LINK) $^ $(call libs,$(PKGS) $(PKGS_MIGRATE)) -lpthread

# Small programs that tests put into containers: static, so that an image needs nothing else.
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(wildcard tests/tools/*.c))
tools: $(TOOLS) ## build the programs that run inside the tests' containers
$(BUILD)/tools/loader: WARN += -nostdlib -fno-stack-protector
$(BUILD)/tools/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARN) -static -o $@ $< -lpthread

docs: $(BUILD)/tools/errors $(BIN)/davitd ## make the pages that come from tables
	$(BUILD)/tools/errors >docs/ERRORS.md
	$(BIN)/davitd --openapi >docs/openapi.json
	docs/routes.sh
$(BUILD)/tools/errors: $(BUILD)/obj/docs/errors.o $(L_base)
	$(LINK) $^

install: all ## install below DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/davit $(DESTDIR)$(PREFIX)/share/doc/davit/docs/demos $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(BIN)/davit $(BIN)/davitd $(BIN)/davit-runtime $(BIN)/davit-monitor $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(LIBEXEC)/davit-mover $(DESTDIR)$(PREFIX)/libexec/davit/
	install -d $(DESTDIR)$(PREFIX)/libexec/davit/criu
	install -m 755 $(LIBEXEC)/criu/tar $(DESTDIR)$(PREFIX)/libexec/davit/criu/
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/davit/
	install -m 644 docs/*.md docs/openapi.json $(DESTDIR)$(PREFIX)/share/doc/davit/docs/
	install -m 644 docs/demos/* $(DESTDIR)$(PREFIX)/share/doc/davit/docs/demos/
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/davitd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/davitd.service

clean: ## remove build/
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
