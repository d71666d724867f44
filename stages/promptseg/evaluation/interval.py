"""Confidence intervals over groups (stacks, sequences, patients), whose images resemble each other.

Every mean of the scores is an average over classes of a ratio of two sums over images (`class_means`), so its error is,
to first order, a sum with one term a group. Few groups, or groups of very unequal size, make the usual interval too
short. It is widened as Bell and McCaffrey (2002) do, with the standard error CR2 and Satterthwaite's degrees of freedom
(G - 1 for G equal groups), which clubSandwich has in R; their working model is that of images with the correlation
within groups that is found (Imbens and Kolesar 2016). IoU being skewed near 0 and 1, the interval is computed for
logit(theta) and mapped back, which keeps it inside [0, 1].
"""

import numpy as np

MINIMUM_GROUPS = 5
LEVEL = 0.975  # of the t quantile, for a two-sided interval of 95 %


def interval(sums: np.ndarray, numbers: np.ndarray, group: np.ndarray) -> tuple[float, float] | None:
    """Compute the 95 % confidence interval of theta, the mean over classes of sum(sums) / sum(numbers).

    The error of theta has the term u_i = mean over classes k of (sums_ik - theta_k numbers_ik) / numbers_k for image i,
    and u_g, the sum of its images' terms, for group g. As theta is estimated with the group, u_g varies less than the
    group's part of theta does: CR2 is the sum over groups of u_g^2, each times the quotient of these variances in the
    working model.

    Args:
        sums: (images, K) numerator of each image and class.
        numbers: (images, K) denominator; 0 where the class has no part in the image. Classes without any are left out,
            and groups without any are no groups.
        group: (images,) int, number of the group of each image.

    Returns:
        Lower and upper end in [0, 1]; None with fewer than 5 groups, or where a group alone has all of its classes, so
        that nothing tells how they vary.
    """
    from scipy import special  # 0.2 s, for evaluation alone

    images, classes = numbers.any(axis=1), numbers.any(axis=0)
    sums, numbers = sums[images][:, classes], numbers[images][:, classes]
    group = np.unique(group[images], return_inverse=True)[1]
    groups = int(group.max(initial=-1)) + 1
    if groups < MINIMUM_GROUPS:
        return None
    total = numbers.sum(axis=0)
    thetas, image_share = sums.sum(axis=0) / total, numbers / total
    image_error = (sums / total - thetas * image_share).mean(axis=1)
    error, share, squares = (sum_by_group(a, group, groups) for a in (image_error, image_share, image_share**2))
    correlation = _correlation(image_error, image_share.mean(axis=1), group, groups)
    variance = (1 - correlation) * squares + correlation * share**2
    own = (variance * (1 - 2 * share) + share**2 * variance.sum(axis=0)).mean(axis=1)
    if (own < 1e-9 * variance.mean(axis=1)).any():
        return None
    weight = variance.mean(axis=1) / own
    theta, deviation = float(thetas.mean()), float(np.sqrt(weight @ error**2))
    if theta * (1 - theta) == 0 or deviation == 0:
        return theta, theta
    quantile = special.stdtrit(_degrees_of_freedom(share, variance, weight), LEVEL)
    half = quantile * deviation / (theta * (1 - theta))
    low, high = special.expit(special.logit(theta) + np.array([-half, half]))
    return float(low), float(high)


def sum_by_group(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sum the values of images over their groups.

    Args:
        values: (images, ...).
        group: (images,) int, number of the group of each image.
        groups: number of groups.

    Returns:
        (groups, ...) float.
    """
    result = np.zeros((groups, *values.shape[1:]))
    np.add.at(result, group, values)
    return result


def _correlation(error: np.ndarray, share: np.ndarray, group: np.ndarray, groups: int) -> float:
    """Estimate the correlation of two images of a group from the products of their errors, in [0, 1].

    Errors are taken to vary in proportion to an image's share of theta; without pairs of images it is 0.
    """
    own, own_share = (error**2).sum(), (share**2).sum()
    pairs = (sum_by_group(error, group, groups) ** 2).sum() - own
    pairs_share = (sum_by_group(share, group, groups) ** 2).sum() - own_share
    if own == 0 or pairs_share < 1e-12 * own_share:
        return 0.0
    return float(np.clip(pairs / pairs_share * own_share / own, 0, 1))


def _degrees_of_freedom(share: np.ndarray, variance: np.ndarray, weight: np.ndarray) -> float:
    """Satterthwaite's tr(A)^2 / tr(A^2), where A is the covariance of the weighted terms in the working model.

    A = W (diag(mean_k v_k) + mean_k (V_k h_k h_k' - v_k h_k' - h_k v_k')) W has a row a group, and is never formed: the
    second part is B M B' with one column of B for each share h_k and each variance v_k, whose sum is V_k; W^2 =
    diag(weight).
    """
    classes = share.shape[1]
    diagonal = weight * variance.mean(axis=1)
    factor = np.sqrt(weight[:, None] / classes) * np.concatenate([share, variance], axis=1)
    middle = np.block([[np.diag(variance.sum(axis=0)), -np.eye(classes)], [-np.eye(classes), np.zeros((classes,) * 2)]])
    product = middle @ factor.T @ factor
    trace = diagonal.sum() + np.trace(product)
    mixed = np.trace(middle @ (factor.T * diagonal) @ factor)
    return float(trace**2 / ((diagonal**2).sum() + 2 * mixed + (product * product.T).sum()))
