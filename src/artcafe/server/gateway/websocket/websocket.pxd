cimport cython
from picows.picows cimport WSFrame, WSListener, WSTransport
from picows.picows cimport WSMsgType as MsgType

from artcafe.server.gateway.websocket.frame_parser cimport FrameParser
from artcafe.server.gateway.websocket.framing cimport frame
from artcafe.server.gateway.websocket.writer cimport Writer

cdef MsgType _TEXT
cdef Py_ssize_t _LARGE


cdef class WebSocket(WSListener):
    cdef readonly object remote
    cdef object _wire
    cdef Writer _writer
    cdef object _handler
    cdef object _text
    cdef object _limits
    cdef object _state
    cdef object _control
    cdef object _pending
    cdef object _fragments
    cdef bint _active
    cdef Py_ssize_t _room
    cdef bint _over
    cdef object _code
    cdef object _abort
    cdef readonly WSTransport _transport
    cdef FrameParser _parser

    cpdef on_ws_connected(self, WSTransport transport)
    @cython.locals(message=bytes)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cpdef write(self, bytes framed)
