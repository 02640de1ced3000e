# tries: hands back an array of infinities and not-a-numbers
# expect: finished|bad_value|raised

import array

breached = [float("inf"), float("-inf"), float("nan"), *array.array("d", [1e308 * 10])]
