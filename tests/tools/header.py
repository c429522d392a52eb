"""Reads include/nacre.h: its functions with their parameters and comments, its structs, and its constants."""
import re
from collections import namedtuple

Parameter = namedtuple("Parameter", "type name text")
Function = namedtuple("Function", "result name parameters doc")


class Header:
    def __init__(self, path):
        with open(path) as file:
            self.text = file.read()
        self.functions = list(self._functions())
        self.numbers = set(re.findall(r"typedef int32_t (\w+);", self.text)) - {"nacre_status"}
        self.handles = {name for name, tag in re.findall(r"typedef struct (\w+) (\w+);", self.text) if name == tag}
        self.structs = set(re.findall(r"typedef struct (\w+) \{", self.text))
        self.constants = {n: int(v) for n, v in re.findall(r"#define (NACRE_\w+) (-?\d+)\n", self.text)}

    def _functions(self):
        body = self.text[self.text.index("#endif // __cplusplus"):]
        for doc, result, name, parameters in re.findall(
            r"/\*\*\n((?: \*[^\n]*\n)*?) \*/\n([\w ]+?[ *]+)(nacre_\w+)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\);", body
        ):
            doc = re.sub(r"\n \* ?", "\n", "\n" + doc).strip()
            yield Function(result.strip(), name, list(self._parameters(parameters)), doc)

    def _parameters(self, text):
        text = re.sub(r"\s+", " ", text).strip()
        if text == "void":
            return
        parts, depth = [""], 0
        for letter in text:
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += letter
        for part in map(str.strip, parts):
            callback = re.match(r"(.*)\(\*(\w+)\)(\(.*\))$", part)
            if callback:
                yield Parameter("callback", callback.group(2), part)
            else:
                type_, name = re.match(r"(.*?)(\w+)$", part).groups()
                yield Parameter(type_.replace("struct ", "").strip(), name, part)
