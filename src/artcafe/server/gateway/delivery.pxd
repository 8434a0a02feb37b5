cimport cython

from artcafe.server.gateway.framing cimport frame
from artcafe.server.gateway.letter cimport Letter


cdef class Shape:
    cdef readonly str form
    cdef readonly str dialect
    cdef readonly list letters
    cdef readonly list frames
    cdef readonly bytes joined


cdef class Delivery:
    cdef readonly str sender
    cdef readonly str subject
    cdef object _tenant
    cdef list _letters
    cdef list _shapes

    @cython.locals(name=str, shape=Shape)
    cpdef Shape shape(self, str form, dialect)

    @cython.locals(subject=str, letters=list, frames=list, letter=Letter, text=bytes)
    cpdef Shape _make(self, str form, dialect)
