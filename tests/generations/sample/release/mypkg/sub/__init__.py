from ..core import Base as Base
