#!/usr/bin/env python3
"""Writes calls of every exported function, made from include/nacre.h, for tests/c/test_every_function.c.

For each function `usual_NAME(world, timeout)`: one call with values that are in order (their state may not be), whose
results are freed; and `wrong_NAME(world)`: calls that have one wrong argument each, and have to be refused with
NACRE_ERR_ARGUMENT. What may be NULL is what the function's comment says may be NULL.
"""
import re
import sys

from header import Header

# Results that nobody has to want, whatever the function.
OPTIONAL = {"op", "err", "needed", "n"}
# A usual value where the type does not say it.
USUAL = {
    "address": '"127.0.0.1:9"', "list": '"+"', "path": '"/nonexistent/nacre"', "signal": '"TERM"', "term": '"vt100"',
    "fd": "-1", "len": "3", "signature_len": "3", "modes_len": "0", "cap": "sizeof buf", "count": "1", "code": "1",
    "timeout_ms": "timeout_ms", "want_reply": "1", "core_dumped": "0", "which": "NACRE_LIMIT_CLOSE", "max_unanswered": "3",
    "interval_ms": "60000", "window_bytes": "65536", "max_packet_bytes": "32768", "op": "1", "algorithm": "NULL",
    "passphrase": "NULL", "submethods": "NULL", "flags": "0", "decision": "NACRE_REJECT", "index": "0", "seconds": "3600",
    "bytes": "1 << 20", "packets": "1 << 20", "bits": "0", "minimum_rsa_bits": "2048", "format": "NACRE_KEY_OPENSSH",
    "kind nacre_fingerprint_kind": "NACRE_FINGERPRINT_SHA256",
}
# What makes a struct usual.
STRUCTS = {
    "nacre_host_key_check": "value->flags = NACRE_HOST_KEY_ANY;",
    "nacre_connect_options": "value->host_key_check = &any_key; value->user = \"tester\"; value->password = \"secret\";",
    "nacre_poll_item": "value->channel = world->channel; value->what = NACRE_CHANNEL_READ;",
}
# NULL is another thing there: the default engine; nothing.
NULL_HANDLE_IS_FINE = {"nacre_engine"}
# Any value of a decision rejects; any status has a name.
ANY_VALUE = {"nacre_decision", "nacre_status"}
# They end what they are called on, so that usual calls get an owner of their own to give up.
ENDS = re.compile(r"_(free|atfork)$")


def may_be_null(function, name, header):
    doc = re.sub(r"\s+", " ", function.doc)
    for other in re.findall(r"[Aa]s (?:for )?(nacre_\w+)", doc):
        doc += "".join(" " + re.sub(r"\s+", " ", known.doc) for known in header.functions if known.name == other)
    return (
        name in OPTIONAL
        or re.search(r"\b(Any|Either) pointer may be NULL", doc)
        or re.search(rf"`\*?{name}`( \(|[^.:;`]*? )may be NULL", doc)
        or re.search(rf"`{name}` NULL", doc)
        or (re.search(r"(They may be NULL|NULL takes them away|^[^`]*\(may be NULL\))", doc) and name == last_pointer(function))
    )


def last_pointer(function):
    """What a comment means that speaks of `it` or `them` and names nothing."""
    for parameter in function.parameters:
        if parameter.type.endswith("*") and base(parameter.type) not in ("nacre_transport", "nacre_channel", "nacre_ticket"):
            return parameter.name
    return None


def base(type_):
    return re.sub(r"\bconst\b|\*|\s", "", type_)


class Writer:
    def __init__(self, header):
        self.header = header

    def usual(self, function, parameter):
        """(the argument, what is declared before, what is done after)"""
        type_, name = parameter.type, parameter.name
        stars, of = type_.count("*"), base(type_)
        header = self.header
        if parameter.type == "callback":
            return "NULL", "", ""
        if of in header.handles:
            noun = of.removeprefix("nacre_")
            if stars == 2:
                borrowed = function.name in ("nacre_ticket_transport", "nacre_ticket_channel")
                return f"&{name}_out", f"{of} *{name}_out = NULL;", "" if borrowed else f"nacre_{noun}_free({name}_out);"
            return f"world->{noun}", "", ""
        if of in header.structs:
            if stars == 2:
                return f"{name}_in", f"{of} {name}_item = NACRE_INIT({of}); const {of} *{name}_in[1] = {{&{name}_item}}; usual_{of}(world, &{name}_item);", ""
            after = f"free_event(&{name}_in);" if of == "nacre_event" else ""
            return f"&{name}_in", f"{of} {name}_in = NACRE_INIT({of}); usual_{of}(world, &{name}_in);", after
        if type_ == "char *" or (type_ == "void *" and name == "buf"):
            return "buf", "char buf[4096] = \"\"; (void)buf;", ""
        if type_ == "void *":
            return "NULL", "", ""
        if type_ == "const char *":
            return USUAL.get(name, '"usual"'), "", ""
        if type_ == "const char *const *":
            return f"{name}_in", f'const char *{name}_in[1] = {{"usual"}};', ""
        if type_ == "const void *":
            return ("NULL", "", "") if name == "modes" else ('"abc"', "", "")
        if type_ == "const int32_t *":
            return f"{name}_in", f"const int32_t {name}_in[1] = {{1}};", ""
        if stars == 1:
            return f"&{name}_out", f"{of} {name}_out = 0;", ""
        value = USUAL.get(f"{name} {of}", USUAL.get(name, "1"))
        return value, "", ""

    def call(self, function, changed=None):
        """The statements before, the call, and the statements after."""
        arguments, before, after = [], [], []
        for parameter in function.parameters:
            argument, declared, freed = self.usual(function, parameter)
            if changed and changed[0] == parameter.name:
                argument = changed[1]
                if argument == "NULL" and parameter.name != "buf":
                    declared = freed = ""
            if declared and declared not in before:
                before.append(declared)
            if freed:
                after.append(freed)
            arguments.append(argument)
        return " ".join(before), f"{function.name}({', '.join(arguments)})", " ".join(after)

    def usual_function(self, function):
        before, call, after = self.call(function)
        print(f"static nacre_status usual_{function.name}(world *world, int32_t timeout_ms)\n{{")
        print("    (void)world, (void)timeout_ms;")
        if ENDS.search(function.name):
            noun = base(function.parameters[0].type).removeprefix("nacre_")
            if noun in ("error", "message", "ticket"):
                call = call.replace(f"world->{noun}", "NULL")
            elif function.name.endswith("_free"):
                print(f"    if (nacre_{noun}_ref(world->{noun}) != NACRE_OK) return NACRE_ERR_FORKED;")
            else:
                print("    if (!world->may_end) return NACRE_OK;")
        if before:
            print(f"    {before}")
        if function.result == "nacre_status":
            print(f"    nacre_status status = {call};")
            if function.name.endswith("_ref"):
                after = f"if (status == NACRE_OK) {function.name[:-4]}_free({function.parameters[0].name.join(['world->', ''])});"
            if after:
                print(f"    {after}")
            print("    return status;\n}")
        else:
            print(f"    (void){call};\n    return NACRE_OK;\n}}")

    def wrongs(self, function):
        """(what is wrong, the parameter, its argument, declared before, the status)"""
        header = self.header
        refused = "NACRE_ERR_ARGUMENT"
        for parameter in function.parameters:
            type_, name = parameter.type, parameter.name
            stars, of = type_.count("*"), base(type_)
            if type_ == "callback" or (type_ == "void *" and name == "userdata"):
                continue
            if stars and name not in ("buf", "data", "modes"):
                if not may_be_null(function, name, header) and not (stars == 1 and of in NULL_HANDLE_IS_FINE):
                    getter = function.parameters[0].type.startswith("const ") and of not in header.structs
                    is_number_out = "const" not in type_ and (getter or of not in header.handles | header.structs)
                    yield "NULL", name, "NULL", "", "ANY_REFUSAL" if is_number_out else refused
            if name in ("buf", "data") and stars:
                yield "NULL with a length", name, "NULL", "", "NULL_OR_NOTHING" if name == "buf" else refused
            if name == "timeout_ms":
                yield "below -1", name, "-2", "", refused
                yield "far below -1", name, "INT32_MIN", "", refused
            if of in header.numbers and not stars and of not in ANY_VALUE:
                for value in ("77777", "-1", "INT32_MIN", "INT32_MAX"):
                    yield "unknown", name, value, "", refused
            if name == "flags" and not stars:
                yield "unknown flags", name, "0x80000000u", "", refused
            if name in ("want_reply", "presence", "verification") and not stars:
                yield "neither 0 nor 1", name, "2", "", refused
            if of in header.structs and stars == 1:
                for size in ("0", "sizeof(size_t) - 1", "SIZE_MAX"):
                    yield f"size {size}", name, f"&{name}_in", f"SIZE {name}_in.size = {size};", refused
                yield "larger and used", name, f"&{name}_larger.known", f"LARGER {of} {name}", "NACRE_ERR_UNSUPPORTED"

    def wrong_function(self, function):
        print(f"static void wrong_{function.name}(world *world)\n{{")
        print("    const int32_t timeout_ms = 0;\n    (void)world, (void)timeout_ms;")
        if function.result == "nacre_status" and not ENDS.search(function.name):
            for what, name, argument, declared, status in self.wrongs(function):
                before, call, after = self.call(function, (name, argument))
                extra = ""
                if declared.startswith("SIZE "):
                    extra = declared.removeprefix("SIZE ")
                elif declared.startswith("LARGER "):
                    _, of, parameter = declared.split()
                    extra = (
                        f"struct {{ {of} known; unsigned char more[24]; }} {parameter}_larger; memset(&{parameter}_larger, 0, sizeof {parameter}_larger); "
                        f"{parameter}_larger.known = {parameter}_in; {parameter}_larger.known.size = sizeof {parameter}_larger; {parameter}_larger.more[11] = 1;"
                    )
                text = f"{name} {what}".replace('"', "'")
                print(f"    {{\n        {before} {extra}\n        expect(\"{function.name}\", \"{text}\", {call}, {status});")
                for out in set(re.findall(r"(\w+_out) = NULL;", before)) - {"err_out"}:
                    print(f"        if ({out} != NULL) FAIL(\"{function.name}, {text}: there is a handle\");")
                print(f"        {after}\n    }}")
        print("}")


def main():
    header = Header(sys.argv[1])
    writer = Writer(header)
    print("/* Made by tests/tools/calls.py from include/nacre.h. */")
    for name in sorted(header.structs):
        print(f"UNUSED static void usual_{name}(world *world, {name} *value)\n{{\n    (void)world, (void)value;")
        print(f"    {STRUCTS.get(name, '')}\n}}")
    for function in header.functions:
        writer.usual_function(function)
        writer.wrong_function(function)
    print("static const call calls[] = {")
    for function in header.functions:
        first = base(function.parameters[0].type) if function.parameters else ""
        first = first.removeprefix("nacre_") if first in header.handles else "none"
        getter = int(bool(function.parameters) and function.parameters[0].type.startswith("const "))
        tells = int(function.result == "nacre_status")
        print(f'    {{"{function.name}", "{first}", {getter}, {tells}, usual_{function.name}, wrong_{function.name}}},')
    print("};")


if __name__ == "__main__":
    main()
