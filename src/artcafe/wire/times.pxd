cimport cython

@cython.locals(count=cython.longlong)
cpdef str rfc3339(double seconds)
