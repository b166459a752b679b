"""placeholder"""
class UsageError(ValueError):
    """x"""
