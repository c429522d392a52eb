#!/usr/bin/env python3
"""Writes the C source of a library with every function of include/nacre.h that does nothing and says NACRE_OK."""
import sys

from header import Header

VALUES = {"void": "", "const char *": 'return "";', "void *": "return NULL;"}


def main():
    header = Header(sys.argv[1])
    only = set(sys.argv[2:])
    print("#include <nacre.h>")
    for function in header.functions:
        if only and function.name not in only:
            continue
        parameters = ", ".join(parameter.text for parameter in function.parameters) or "void"
        unused = " ".join(f"(void){parameter.name};" for parameter in function.parameters)
        value = VALUES.get(function.result, "return 0;")
        space = "" if function.result.endswith("*") else " "
        print(f"{function.result}{space}{function.name}({parameters}) {{ {unused} {value} }}")


if __name__ == "__main__":
    main()
