cpdef str rfc3339(double seconds)
