"""The package `gguf` as a peer: prints what it decodes from a file as one JSON document.

    peer_gguf.py FILE            digest over everything, and how long decoding took
    peer_gguf.py --fields FILE   the same, with every key and tensor and its own digest
    peer_gguf.py --types         elements and bytes of a block of every tensor type it knows

What the digests are taken over stands in `tests/it/digest.rs`.
"""

import hashlib
import json
import sys
import time

import gguf


def of_field(reader, field):
    """The key, the type, then the value: the parts of a field are all of it, in order."""
    if reader.endianess == gguf.GGUFEndian.LITTLE:
        return b"".join(field.parts)
    return b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in field.parts)


def of_tensor(tensor):
    name, number_type = tensor.name.encode(), int(tensor.tensor_type)
    shape = [int(axis) for axis in tensor.shape]
    return b"".join([
        len(name).to_bytes(8, "little"), name,
        len(shape).to_bytes(8, "little"), *[axis.to_bytes(8, "little") for axis in shape],
        number_type.to_bytes(4, "little"),
        int(tensor.n_elements).to_bytes(8, "little"),
        int(tensor.n_bytes).to_bytes(8, "little"),
        int(tensor.data_offset).to_bytes(8, "little"),
    ])


def decode(path):
    """Every string as text and every value as a Python object, as a program would use them."""
    reader = gguf.GGUFReader(path)
    for field in reader.fields.values():
        field.contents()
    return reader


def main():
    arguments = sys.argv[1:]
    if arguments == ["--types"]:
        print(json.dumps({int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}))
        return
    detailed = arguments[:1] == ["--fields"]
    path = arguments[-1]
    started = time.perf_counter()
    reader = decode(path) if not detailed else gguf.GGUFReader(path)
    decoded = time.perf_counter()

    whole = hashlib.sha256()
    fields, tensors = [], []
    for key, field in reader.fields.items():
        # The header, which the package keeps as three fields before the first key.
        if key in ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count") and field.offset < 24:
            continue
        content = of_field(reader, field)
        whole.update(content)
        if detailed:
            types = [kind.name for kind in field.types]
            fields.append([key, types, hashlib.sha256(content).hexdigest()])
    for tensor in reader.tensors:
        content, data = of_tensor(tensor), tensor.data.tobytes()
        whole.update(content)
        whole.update(data)
        if detailed:
            tensors.append([
                tensor.name, [int(axis) for axis in tensor.shape], tensor.tensor_type.name,
                int(tensor.n_elements), int(tensor.n_bytes), int(tensor.data_offset),
                hashlib.sha256(content + data).hexdigest(),
            ])
    digested = time.perf_counter()
    result = {
        "package": "gguf",
        "version": int(reader.fields["GGUF.version"].parts[0][0]),
        "alignment": int(reader.alignment),
        "data_offset": int(reader.data_offset),
        "keys": len(reader.fields) - 3,
        "tensors": len(reader.tensors),
        "digest": whole.hexdigest(),
    }
    if detailed:
        result |= {"fields": fields, "tensor_list": tensors}
    else:
        result |= {
            "decode_check_ms": (decoded - started) * 1000,
            "digest_ms": (digested - started) * 1000,
        }
    print(json.dumps(result))


main()
