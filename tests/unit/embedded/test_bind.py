import pytest

from headwater.core.errors import AddressInUse
from headwater.embedded.server import bind


def test_an_address_that_is_taken_is_named():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another"):
            bind("127.0.0.1", port)
