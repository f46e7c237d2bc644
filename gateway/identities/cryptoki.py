# SPDX-License-Identifier: Apache-2.0
"""Loads a PKCS#11 library so that several threads may use it at once.

python-pkcs11 initialises libraries without arguments, which promises them a single thread (PKCS#11 v3.1, section 5.4:
C_Initialize); two threads in such a library crash the process. So it is initialised once more, with locking.
"""

import ctypes
import threading
from pathlib import Path
from typing import Any

import pkcs11

from gateway.identities.errors import WalletError

_OS_LOCKING_OK = 2  # CKF_OS_LOCKING_OK
_NOT_INITIALIZED = 0x190  # CKR_CRYPTOKI_NOT_INITIALIZED


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no mutexes of ours, the operating system's may be used."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


_Call = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)


class _FunctionList(ctypes.Structure):
    """The beginning of CK_FUNCTION_LIST: its version, and the two functions that are needed here."""

    _fields_ = (
        ("major", ctypes.c_ubyte),
        ("minor", ctypes.c_ubyte),
        ("initialize", _Call),
        ("finalize", _Call),
    )


# A library is initialised for a whole process, so what is known of it belongs to the process too.
_lock = threading.Lock()
_libraries: dict[str, Any] = {}
_functions: dict[str, _FunctionList] = {}


def load(module: Path) -> Any:
    """The library, as `pkcs11.lib` gives it; raises `WalletError` that names the file."""
    with _lock:
        known = _libraries.get(str(module))
        if known is None:
            known = _libraries[str(module)] = _load(module)
        return known


def begin_anew(module: Path) -> None:
    """Finalise a library that was loaded and initialise it again; nobody may be in it. Raises `WalletError`.

    Some find a token that was taken out and put back in no other way. All sessions are gone after it.
    """
    with _lock:
        _initialise(module, _functions[str(module)])


def _load(module: Path) -> Any:
    try:
        library = pkcs11.lib(str(module))
        native = ctypes.CDLL(str(module))
        found = ctypes.POINTER(_FunctionList)()
        get = native.C_GetFunctionList
    except (pkcs11.PKCS11Error, OSError, AttributeError, RuntimeError):
        raise WalletError(f"{module}: not a PKCS#11 library that this machine can load") from None
    get.restype = ctypes.c_ulong
    _expect(module, "C_GetFunctionList", get(ctypes.byref(found)))
    functions = _functions[str(module)] = found.contents
    _initialise(module, functions)
    return library


def _initialise(module: Path, functions: _FunctionList) -> None:
    code = functions.finalize(None)
    # What could not be initialised when a token was gone needs no end.
    if code != _NOT_INITIALIZED:
        _expect(module, "C_Finalize", code)
    arguments = _InitializeArguments(None, None, None, None, _OS_LOCKING_OK, None)
    _expect(module, "C_Initialize", functions.initialize(ctypes.addressof(arguments)))


def _expect(module: Path, call: str, code: int) -> None:
    if code != 0:
        raise WalletError(f"{module}: cannot be initialised for several threads: {call} answered {code:#x}")
